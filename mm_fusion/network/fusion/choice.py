"""A fusion operator by name."""

from __future__ import annotations

from torch import nn

from mm_fusion.errors import ConfigurationError

OPERATORS = ("concat", "additive", "soft_gate")
"""Names that a model's `fusion` may take."""


def make_fusion(name: str, sensors: int, channels: int) -> nn.Module:
    """The operator that `name` means, for `sensors` maps of `channels`; raises `ConfigurationError`."""
    match name:
        case "concat":
            from mm_fusion.network.fusion.concat import ConcatFusion

            return ConcatFusion(sensors, channels)
        case "additive":
            from mm_fusion.network.fusion.additive import AdditiveFusion

            return AdditiveFusion(sensors, channels)
        case "soft_gate":
            from mm_fusion.network.fusion.soft_gate import SoftGateFusion

            return SoftGateFusion(sensors, channels)
        case _:
            raise ConfigurationError(f"fusion {name!r}: no such operator; choices are {', '.join(OPERATORS)}")
