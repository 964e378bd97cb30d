"""A fusion operator by name."""

from __future__ import annotations

from typing import get_args

from mm_fusion.errors import ConfigurationError
from mm_fusion.network.fusion.contract import FusionOperator
from mm_fusion.network_config import FusionName

OPERATORS: tuple[str, ...] = get_args(FusionName)
"""Names that a model's `fusion` may take."""


def make_fusion(name: str, sensors: int, channels: int) -> FusionOperator:
    """The operator that `name` means, for `sensors` maps of `channels`; raises `ConfigurationError`."""
    return _operator(name)(sensors, channels)


def _operator(name: str) -> type[FusionOperator]:
    match name:
        case "concat":
            from mm_fusion.network.fusion.concat import ConcatFusion

            return ConcatFusion
        case "additive":
            from mm_fusion.network.fusion.additive import AdditiveFusion

            return AdditiveFusion
        case "soft_gate":
            from mm_fusion.network.fusion.soft_gate import SoftGateFusion

            return SoftGateFusion
        case "multiplicative":
            from mm_fusion.network.fusion.multiplicative import MultiplicativeFusion

            return MultiplicativeFusion
        case "tensor":
            from mm_fusion.network.fusion.tensor import TensorFusion

            return TensorFusion
        case "low_rank":
            from mm_fusion.network.fusion.low_rank import LowRankFusion

            return LowRankFusion
        case "hard_gate":
            from mm_fusion.network.fusion.hard_gate import HardGateFusion

            return HardGateFusion
        case "reinforce_gate":
            from mm_fusion.network.fusion.reinforce_gate import ReinforceGateFusion

            return ReinforceGateFusion
        case "channel_exchange":
            from mm_fusion.network.fusion.channel_exchange import ChannelExchangeFusion

            return ChannelExchangeFusion
        case "attention":
            from mm_fusion.network.fusion.attention import AttentionFusion

            return AttentionFusion
        case "deformable":
            from mm_fusion.network.fusion.deformable import DeformableFusion

            return DeformableFusion
        case "graph":
            from mm_fusion.network.fusion.graph import GraphFusion

            return GraphFusion
        case "vae":
            from mm_fusion.network.fusion.vae import VaeFusion

            return VaeFusion
        case "coordinated_gate":
            from mm_fusion.network.fusion.coordinated_gate import CoordinatedGateFusion

            return CoordinatedGateFusion
        case "experts":
            from mm_fusion.network.fusion.experts import ExpertsFusion

            return ExpertsFusion
        case "fission":
            from mm_fusion.network.fusion.fission import FissionFusion

            return FissionFusion
        case _:
            raise ConfigurationError(f"fusion {name!r}: no such operator; choices are {', '.join(OPERATORS)}")
