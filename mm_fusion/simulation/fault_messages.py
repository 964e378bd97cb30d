"""Corruption of whole messages: what a broken link or driver sends."""

from __future__ import annotations

from typing import Any

import numpy as np

from mm_fusion.messages.build import sequence_of
from mm_fusion.simulation.faults import Fault

CORRUPT_SHARE = (0.3, 0.6, 1.0)
KEPT = (0.05, 0.7)


def spoil_message(message: Any, fault: Fault, rng: np.random.Generator) -> Any:
    """`message`, whose payload may be cut short or overwritten with noise; header and sizes stay."""
    if fault.fault != "corruption" or rng.random() >= fault.level(CORRUPT_SHARE):
        return message
    if hasattr(message, "data"):
        data = np.frombuffer(memoryview(message.data), np.uint8)
        message.data = sequence_of(_damaged(data, rng), "u1", type(message))
    elif hasattr(message, "returns"):
        for entry in message.returns:
            entry.range = float("nan")
    return message


def _damaged(data: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut off somewhere, or noise from somewhere on; a picture of either cannot be decoded whole."""
    at = round(rng.uniform(*KEPT) * len(data))
    if rng.random() < 0.5:
        return data[:at]
    spoilt = data.copy()
    spoilt[at:] = rng.integers(0, 256, len(data) - at, np.uint8)
    return spoilt
