"""The package's executables as child processes on a ROS domain of their own, for the demo and tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mm_fusion.errors import FusionError
from mm_fusion.nodes.dds import dds_environment

STOP_S = 15.0


class ProcessError(FusionError):
    """A child process that ended early or did not do what was waited for."""


def own_domain(domain_id: int) -> dict[str, str]:
    """Environment of processes that see nobody but each other on this machine."""
    return {
        "ROS_DOMAIN_ID": str(domain_id),
        "ROS_LOCALHOST_ONLY": "1",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        **dds_environment(),
    }


class Child:
    """One `python -m MODULE ARGUMENTS`, its output in `log`; a context manager that ends it."""

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name, self.log = module.rpartition(".")[2], log
        with open(log, "wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise `ProcessError` with its last lines where it has ended."""
        if not self.running():
            raise ProcessError(f"{self.name} ended with {self._process.returncode}: {self._last_lines()}")

    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, seconds: float, unless: str = "") -> None:
        """Wait until it prints `text`; raises `ProcessError` with its last lines where it does not.

        unless: what it prints where it will not, so that nobody waits in vain; '' for nothing.
        """
        deadline = time.monotonic() + seconds
        while text not in (said := self.text()):
            self.check()
            if unless and unless in said:
                raise ProcessError(f"{self.name} will not say {text!r}: {self._last_lines()}")
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{self.name} did not say {text!r} within {seconds} s: {self._last_lines()}"
                )
            time.sleep(0.05)

    def wait(self, seconds: float) -> int:
        """Its exit code; raises `ProcessError` where it is still running after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{self.name} still runs after {seconds} s: {self._last_lines()}") from None

    def stop(self) -> int:
        """Interrupt it as Ctrl-C does and wait; its exit code. It is killed only if that does not help."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode

    def _last_lines(self) -> str:
        return " | ".join(self.text().strip().splitlines()[-5:]) or "it printed nothing"
