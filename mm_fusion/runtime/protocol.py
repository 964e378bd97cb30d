"""What runs one graph, whatever library it is."""

from __future__ import annotations

from typing import Protocol

import numpy as np

Arrays = dict[str, np.ndarray]


class Backend(Protocol):
    """One graph, loaded; device and buffers stay inside."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        ...

    @property
    def model_hash(self) -> str:
        """Config and weights that the graph belongs to."""
        ...

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name; inputs that the graph does not take are left aside."""
        ...
