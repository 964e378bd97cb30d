"""Graphs that go on with another backend when theirs fails in the middle: a GPU lost, memory gone, NaN."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from mm_fusion.errors import BackendError, FusionError, MeasurementError
from mm_fusion.runtime.device_array import on_host
from mm_fusion.runtime.frame_run import Graphs
from mm_fusion.runtime.protocol import Arrays, Backend


class OpenedGraphs(Mapping[str, Backend]):
    """The four graphs by name, which backend runs them now, why, and what went wrong so far.

    rest: backends to go on with, most preferred first; `reopen` opens one by name. All four change together,
    since they share a device.
    """

    def __init__(
        self,
        backend: str,
        graphs: Graphs,
        reason: str = "",
        problems: Sequence[str] = (),
        rest: Sequence[str] = (),
        reopen: Callable[[str], Graphs] | None = None,
    ) -> None:
        self._state = (backend, graphs)
        self._reason, self._problems = reason, list(problems)
        self._rest, self._reopen = list(rest), reopen
        self._lock = threading.Lock()
        self._names = tuple(graphs)

    @property
    def backend(self) -> str:
        """Name of the backend that runs the graphs now."""
        return self._state[0]

    @property
    def reason(self) -> str:
        """Why this backend, in words; '' where it was asked for by name."""
        return self._reason

    @property
    def problems(self) -> tuple[str, ...]:
        """What did not work so far, in words, in order."""
        return tuple(self._problems)

    def __getitem__(self, name: str) -> Backend:
        if name not in self._names:
            raise KeyError(name)
        return FallingBack(self, name)  # not kept: in a cycle, sessions would outlive their last user

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def graph(self, name: str) -> Backend:
        """One graph on the backend of now."""
        return self._state[1][name]

    def run(self, name: str, inputs: Arrays) -> Arrays:
        """Outputs of one graph, by the first backend that gives any; raises `BackendError` after the last."""
        while True:
            state = self._state
            try:
                return state[1][name].run(inputs)
            except MeasurementError:
                raise  # the inputs are wrong: no other backend would do better
            except Exception as error:
                self._go_on(state, error)
                inputs = on_host(inputs)

    def _go_on(self, failed: tuple[str, Graphs], error: Exception) -> None:
        """Open the next backend, unless another thread did so meanwhile."""
        with self._lock:
            if self._state is not failed:
                return
            self._say(f"{failed[0]} failed: {error}")
            while self._rest and self._reopen is not None:
                name = self._rest.pop(0)
                try:
                    self._state = (name, self._reopen(name))
                except FusionError as other:
                    self._say(f"{name}: {other}")
                    continue
                self._reason = f"{failed[0]} failed: {error}"
                self._say(f"going on with {name}")
                return
        raise BackendError(f"no backend is left: {'; '.join(self._problems[-3:])}") from error

    def _say(self, text: str) -> None:
        self._problems = [*self._problems, text][-50:]
        logging.getLogger(__name__).warning("%s", text)


class FallingBack:
    """One graph, whichever backend runs it now."""

    def __init__(self, graphs: OpenedGraphs, name: str) -> None:
        self._graphs, self._name = graphs, name

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return self._graphs.graph(self._name).input_names

    @property
    def model_hash(self) -> str:
        """Config and weights that the graph belongs to."""
        return self._graphs.graph(self._name).model_hash

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name; raises `MeasurementError` for wrong inputs, `BackendError` after the last."""
        return self._graphs.run(self._name, inputs)
