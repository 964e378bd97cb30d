"""The device by a stand-in for torch: what it says and does where launches cannot be recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from mm_fusion.errors import BackendError
from mm_fusion.runtime.cuda_device import CudaDevice


class Stream:
    """A stream that is done at once."""

    cuda_stream = 7

    def __init__(self, device: Any) -> None:
        pass

    def synchronize(self) -> None:
        pass


class CUDAGraph:
    """Counts its replays."""

    replays = 0

    def replay(self) -> None:
        CUDAGraph.replays += 1


def fake_torch(refusal: Exception | None, available: bool = True) -> Any:
    """torch as far as the device calls it; capture raises `refusal`."""

    @contextmanager
    def graph(graph: CUDAGraph, stream: Stream, capture_error_mode: str) -> Iterator[None]:
        yield
        if refusal is not None:
            raise refusal

    cuda = SimpleNamespace(
        is_available=lambda: available,
        Stream=Stream,
        CUDAGraph=CUDAGraph,
        graph=graph,
        synchronize=lambda device: None,
        stream=lambda stream: nullcontext(),
    )
    return SimpleNamespace(cuda=cuda, device=lambda kind, number: (kind, number))


def device(monkeypatch: pytest.MonkeyPatch, refusal: Exception | None) -> CudaDevice:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(refusal))
    return CudaDevice()


def test_without_a_device_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(None, available=False))
    with pytest.raises(BackendError, match="sees no CUDA device"):
        CudaDevice()


def test_a_recorded_launch_is_replayed_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    launches: list[int] = []
    before, run = CUDAGraph.replays, device(monkeypatch, None).recorded(lambda: launches.append(1))
    run()
    assert (len(launches), CUDAGraph.replays - before) == (2, 1)  # once to set up, once under capture
    assert not caplog.records


@pytest.mark.parametrize(
    ("refusal", "said"),
    [(RuntimeError("operation not permitted\nwhen capturing"), "operation not permitted"),
     (RuntimeError(), "RuntimeError")],
)  # fmt: skip
def test_what_cannot_be_recorded_is_launched_and_said_once_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refusal: Exception, said: str
) -> None:
    launches: list[int] = []
    one = device(monkeypatch, refusal)
    runs = [one.recorded(lambda: launches.append(1)) for _ in range(4)]
    before = len(launches)
    for run in runs:
        run()
    assert len(launches) - before == 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.text.count("not recorded as a CUDA graph") == 1
    assert caplog.messages[0].endswith(f": {said}")
