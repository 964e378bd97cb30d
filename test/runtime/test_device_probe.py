"""What a machine computes with: asked in a child, whose end or silence is an answer too."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from mm_fusion.runtime import device_probe
from mm_fusion.runtime.device_probe import Probe, operating_system, probe, processor, usable_cores


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    probe.cache_clear()
    yield
    probe.cache_clear()


@pytest.fixture
def with_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_probe, "may_have_gpu", lambda: True)


def answering(monkeypatch: pytest.MonkeyPatch, **answer: Any) -> None:
    done = subprocess.CompletedProcess([], **{"returncode": 0, "stdout": "", "stderr": "", **answer})
    monkeypatch.setattr(device_probe.subprocess, "run", lambda *args, **options: done)


def test_without_a_driver_no_child_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_probe, "may_have_gpu", lambda: False)
    monkeypatch.setattr(device_probe.subprocess, "run", lambda *args, **options: pytest.fail("asked"))
    assert "no NVIDIA driver is here" in probe().problem and probe().gpu == ""


@pytest.mark.usefixtures("with_driver")
def test_the_last_line_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"tensorrt": "10.3.0", "gpu": "Orin", "compute": "8.7", "driver": "540", "problem": ""}
    answering(monkeypatch, stdout="a library says hello\n" + json.dumps(told) + "\n")
    assert probe() == Probe("10.3.0", "Orin", "8.7", "540")


@pytest.mark.usefixtures("with_driver")
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            {"returncode": -11, "stderr": "loading\nSegmentation fault"},
            "code -11 and said: Segmentation fault",
        ),
        ({"returncode": 1}, "said: nothing"),
        ({"stdout": "[]"}, "ended with code 0"),
        ({"stdout": '{"planet": "Mars"}'}, "ended with code 0"),
    ],
)
def test_a_child_that_ends_otherwise_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], text: str
) -> None:
    answering(monkeypatch, **answer)
    assert text in probe().problem


@pytest.mark.usefixtures("with_driver")
def test_a_driver_that_hangs_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*args: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired("probe", options["timeout"])

    monkeypatch.setattr(device_probe.subprocess, "run", hang)
    assert "timed out" in probe().problem


def test_the_child_answers_here() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mm_fusion.runtime.device_probe"], capture_output=True, text=True, check=True
    )
    told = Probe(**json.loads(done.stdout.splitlines()[-1]))
    assert bool(told.problem) or (told.gpu and told.tensorrt)


def test_this_machine_has_words() -> None:
    assert processor() and operating_system().startswith("Linux") and usable_cores() >= 1
