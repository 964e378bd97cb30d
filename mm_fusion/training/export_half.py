"""The convolution trunk of a model in half precision; lift, exponentials and decoding stay in float32."""

from __future__ import annotations

from torch import Tensor, nn

from mm_fusion.network.encoders import RasterEncoder
from mm_fusion.network.model import FusionModel


class _IntoHalf(nn.Module):
    """A half-precision module that takes float32 and gives half."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.half()

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.half())


class _OutOfHalf(nn.Module):
    """A half-precision module that takes half and gives float32."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.half()

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x).float()


def halve_trunk(model: FusionModel) -> None:
    """Turn the trunk of an evaluated model, batch norms folded, to half precision, in place.

    Whatever crosses between graphs stays float32, so that graphs of two precisions may be mixed.
    """
    camera, fusion = model.camera, model.fusion
    camera.body = _IntoHalf(camera.body)  # type: ignore[assignment]
    for name in ("rows", "full_rows", "depth"):
        setattr(camera, name, _OutOfHalf(getattr(camera, name)))
    for encoder in (model.lidar, model.radar):
        _halve_raster(encoder)
    fusion.lift.mix = _IntoHalf(fusion.lift.mix)  # type: ignore[assignment]
    fusion.lift.out = _OutOfHalf(fusion.lift.out)  # type: ignore[assignment]
    fusion.neck = _IntoHalf(fusion.neck)  # type: ignore[assignment]
    fusion.head.half()


def _halve_raster(encoder: RasterEncoder) -> None:
    encoder.half()
    encoder.stem = _IntoHalf(encoder.stem)  # type: ignore[assignment]
    encoder.out = _OutOfHalf(encoder.out)  # type: ignore[assignment]
