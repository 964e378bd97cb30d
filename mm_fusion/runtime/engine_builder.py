"""TensorRT engines from ONNX files, built in a process of their own.

A build takes minutes, gigabytes, and now and then its process with it; a parent sees progress line by line
and goes on whatever becomes of the child. `python -m mm_fusion.runtime.engine_builder` takes a `Job` as JSON
on its input. One code path serves TensorRT 10.3 to 11 and TensorRT-RTX: networks are strongly typed, so
precision lives in the file, and no flag is touched that one of them lacks.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mm_fusion.errors import BackendError
from mm_fusion.runtime.cache_folder import write_beside

Report = Callable[[str], None]
PROFILES = {"quick": 1, "default": 3, "best": 5}
"""How long the builder searches, by name: its optimisation level."""
_MARK = "@mm_fusion "
"""Lines of ours on the child's output; libraries print there too."""


@dataclass(frozen=True, slots=True)
class Job:
    """ONNX files to compile and where to put their plans, in order.

    library: `tensorrt`, or `tensorrt_rtx` where engines are only checked. timing_cache: file of kernel
    timings of this very device and version, '' to keep none.
    """

    onnx: tuple[str, ...]
    plans: tuple[str, ...]
    profile: str = "default"
    timing_cache: str = ""
    library: str = "tensorrt"


def build_plans(job: Job, report: Report) -> None:
    """Write the plans of a job from a child process; raises `BackendError` with the library's own words."""
    command = [sys.executable, "-m", "mm_fusion.runtime.engine_builder"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(json.dumps(asdict(job)))
            child.stdin.close()
            said = [_heard(line, report) for line in child.stdout if line.startswith(_MARK)]
        except BaseException:
            child.kill()  # Ctrl-C, or a host that is shutting down: nobody waits for the plan any more
            raise
    failures = [text for text in said if text]
    if failures or child.returncode:
        raise BackendError(
            f"{job.library}: building failed: {'; '.join(failures) or f'code {child.returncode}'}"
        )


def _heard(line: str, report: Report) -> str:
    """Pass progress on; the text of a failure, '' of anything else."""
    told: dict[str, str] = json.loads(line[len(_MARK) :])
    if "progress" in told:
        report(told["progress"])
    return told.get("failure", "")


def build_plan(trt: Any, path: Path, profile: str, timing: bytes, report: Report) -> tuple[bytes, bytes]:
    """Plan and timing cache of one ONNX file, by the module `trt`; raises `BackendError`."""
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    # the parser keeps no reference: without a name of its own the network is freed under it
    network = builder.create_network(network_flags(trt))
    parse(trt, network, path, logger)
    config = builder.create_builder_config()
    if hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)  # its ten bits would not pass the parity gate
    config.builder_optimization_level = PROFILES[profile]
    config.progress_monitor = make_monitor(trt, path.stem, report)
    cache = _with_timing(config, timing)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f"{path.name}: no engine: {logger.last_words()}")
    return bytes(plan), bytes(cache.serialize()) if cache is not None else b""


def network_flags(trt: Any) -> int:
    """Strong typing where it is a choice: TensorRT 11 knows nothing else, and may lack the flag."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def parse(trt: Any, network: Any, path: Path, logger: Any) -> None:
    """Read an ONNX file into the network; raises `BackendError` naming the first nodes it does not take."""
    parser = trt.OnnxParser(network, logger)
    if parser.parse(path.read_bytes()):
        return
    errors = [str(parser.get_error(number)) for number in range(min(3, parser.num_errors))]
    raise BackendError(f"{path.name}: cannot be parsed: {'; '.join(errors) or logger.last_words()}")


def make_logger(trt: Any) -> Any:
    """A logger of `trt` that keeps errors and warnings for the message of whoever fails."""

    class Logger(trt.ILogger):  # type: ignore[name-defined, misc]
        """Errors and warnings in memory."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.kept: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            """Called by the library."""
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.kept.append(text)

        def last_words(self) -> str:
            """The newest errors on one line."""
            return (
                "; ".join(" ".join(text.split()) for text in self.kept[-3:]) or "the library gave no reason"
            )

    return Logger()


def make_monitor(trt: Any, name: str, report: Report) -> Any:
    """A progress monitor of `trt` that reports the outermost phase in percent."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined, misc]
        """Steps of phases that have no parent."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            """Called by the library."""
            if parent is None:
                self.steps[phase] = steps
                report(f"{name}: {phase}")

        def step_complete(self, phase: str, step: int) -> bool:
            """Called by the library; True goes on."""
            if phase in self.steps:
                report(f"{name}: {phase} {100 * (step + 1) // max(1, self.steps[phase])} %")
            return True

        def phase_finish(self, phase: str) -> None:
            """Called by the library."""
            self.steps.pop(phase, None)

    return Monitor()


def _with_timing(config: Any, timing: bytes) -> Any:
    """The configuration's timing cache, filled where the stored one is of this device and version."""
    for content in (timing, b"") if timing else (b"",):
        try:
            cache = config.create_timing_cache(content)
            if cache is not None and config.set_timing_cache(cache, False):
                return cache
        except Exception:  # one of another device is a hard error in some versions
            continue
    return None


def _work(job: Job, report: Report) -> None:
    trt = importlib.import_module(job.library)
    timing_path = Path(job.timing_cache) if job.timing_cache else None
    timing = timing_path.read_bytes() if timing_path is not None and timing_path.is_file() else b""
    for onnx, plan_path in zip(job.onnx, job.plans):
        plan, timing = build_plan(trt, Path(onnx), job.profile, timing, report)
        write_beside(Path(plan_path), plan)
        if timing_path is not None and timing:
            write_beside(timing_path, timing)


def main() -> int:
    """The child: a job on the input, lines on the output."""

    def tell(kind: str, text: str) -> None:
        print(_MARK + json.dumps({kind: text}), flush=True)

    told = json.load(sys.stdin)
    job = Job(**{**told, "onnx": tuple(told["onnx"]), "plans": tuple(told["plans"])})
    try:
        _work(job, lambda text: tell("progress", text))
    except Exception as error:
        tell("failure", f"{error}" if isinstance(error, BackendError) else repr(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
