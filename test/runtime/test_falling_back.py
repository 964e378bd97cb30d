"""A backend that fails in the middle is followed by the next, once, and it is said."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
import pytest

from mm_fusion.errors import BackendError, MeasurementError
from mm_fusion.runtime.device_array import DeviceArray
from mm_fusion.runtime.falling_back import OpenedGraphs
from mm_fusion.runtime.protocol import Arrays


class Graph:
    """Gives its own name, or what it was told to raise."""

    input_names = ("x",)

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.model_hash, self.error, self.seen = name, error, 0

    def run(self, inputs: Arrays) -> Arrays:
        self.seen += 1
        if self.error is not None:
            raise self.error
        return {"from": np.array([self.model_hash]), "x": inputs["x"]}


def opened(*backends: tuple[str, Exception | None], broken: tuple[str, ...] = ()) -> OpenedGraphs:
    """Graphs a and b on the first of some backends; opening a broken one fails."""
    errors = dict(backends)

    def reopen(name: str) -> Mapping[str, Graph]:
        if name in broken:
            raise BackendError(f"{name} has no library")
        return {graph: Graph(name, errors[name]) for graph in "ab"}

    names = [name for name, _ in backends]
    return OpenedGraphs(names[0], reopen(names[0]), "the fastest", (), names[1:], reopen)


X = {"x": np.zeros(2)}


def test_nothing_happens_while_nothing_fails() -> None:
    graphs = opened(("one", None), ("two", None))
    assert graphs["a"].run(X)["from"] == "one"
    assert (graphs.backend, graphs.reason, graphs.problems) == ("one", "the fastest", ())


@pytest.mark.parametrize("error", [BackendError("output rows is not finite"), RuntimeError("out of memory")])
def test_all_graphs_go_on_with_the_next_that_opens(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    graphs = opened(("gpu", error), ("missing", None), ("cpu", None), broken=("missing",))
    assert graphs["a"].run(X)["from"] == "cpu"
    assert graphs["b"].model_hash == "cpu" and graphs.backend == "cpu"
    assert str(error) in graphs.reason and "missing has no library" in " ".join(graphs.problems)
    assert "going on with cpu" in caplog.text


def test_wrong_inputs_change_no_backend() -> None:
    graphs = opened(("one", MeasurementError("input is not finite")), ("two", None))
    with pytest.raises(MeasurementError):
        graphs["a"].run(X)
    assert graphs.backend == "one"


def test_after_the_last_everything_is_said() -> None:
    graphs = opened(("one", BackendError("lost")), ("two", BackendError("lost as well")))
    with pytest.raises(BackendError, match="no backend is left: .*lost as well"):
        graphs["a"].run(X)


def test_features_that_were_on_the_lost_device_end_the_frame_but_not_the_next() -> None:
    def lost(tensor: object) -> np.ndarray:
        raise RuntimeError("device is gone")

    graphs = opened(("gpu", RuntimeError("device is gone")), ("cpu", None))
    with pytest.raises(BackendError, match="features on the device are lost"):
        graphs["a"].run({"x": DeviceArray(None, lost, lambda: True)})  # type: ignore[dict-item]
    assert graphs["a"].run(X)["from"] == "cpu"


def test_threads_that_fail_together_go_on_once() -> None:
    graphs = opened(("gpu", RuntimeError("lost")), ("cpu", None), ("torch", None))
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(str(graphs["a"].run(X)["from"][0]))) for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == ["cpu"] * 8
