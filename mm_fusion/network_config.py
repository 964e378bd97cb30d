"""Sizes and choices of the learned detector; read from `config/models/*.yaml`, every number with its unit.

Inputs, network, training and export read the same tree, and the hash of a model covers it: nothing about the
vehicle stands here, and nothing about sizes stands anywhere else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, field_validator, model_validator

from mm_fusion.config import Section, find_file, load_config, parse_config
from mm_fusion.detections import CLASSES
from mm_fusion.errors import ConfigurationError

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=4096)]
FusionName = Literal[
    "concat", "additive", "soft_gate", "multiplicative", "tensor", "low_rank", "hard_gate", "reinforce_gate",
    "channel_exchange", "attention", "deformable", "graph", "vae", "coordinated_gate", "experts", "fission",
]  # fmt: skip
"""Operators that join sensors, one file each in `network/fusion/`."""
LATER_FIELDS = {"joining": "feature", "bearing": False}
"""Fields younger than models in use: at these values they do not count in the hash."""
LIDAR_SLICE_CHANNELS = ("density", "intensity")
"""Channels of each height slice of the LiDAR raster; `inputs.lidar_raster` says what they hold."""
LIDAR_COLUMN_CHANNELS = ("lowest", "highest", "mean_height", "height_spread", "age")
"""Channels of the LiDAR raster over a cell's whole column."""
RADAR_CHANNELS = (
    "count", "strength", "strongest", "velocity", "doppler_cos", "doppler_sin", "velocity_valid",
    "velocity_spread", "interval", "age", "height",
)  # fmt: skip
"""Channels of the radar raster; `inputs.radar_raster` says what they hold."""


class GridConfig(Section):
    """The bird's-eye grid in `base_link` at which sensors are fused: cell (0, 0) has the corner x_min, y_min.

    Arrays over it are (..., X, Y): the first index grows forward with x, the second to the left with y.
    """

    x_min: float = Field(description="m")
    x_max: float = Field(description="m")
    y_min: float = Field(description="m")
    y_max: float = Field(description="m")
    cell: Positive = Field(description="edge of a cell, m")

    @model_validator(mode="after")
    def _is_whole_cells(self) -> GridConfig:
        for low, high, axis in ((self.x_min, self.x_max, "x"), (self.y_min, self.y_max, "y")):
            cells = (high - low) / self.cell
            if round(cells) < 4 or abs(cells - round(cells)) > 1e-6 or round(cells) % 4:
                raise ValueError(
                    f"expected a multiple of 4 cells along {axis}, got {cells:g} of {self.cell:g} m from "
                    f"{low:g} to {high:g} m"
                )
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells (X, Y)."""
        return round((self.x_max - self.x_min) / self.cell), round((self.y_max - self.y_min) / self.cell)


class LidarInputs(Section):
    """The LiDAR raster: (channels, scale X, scale Y)."""

    scale: Annotated[int, Field(ge=1, le=4)] = Field(
        1, description="raster cells along the edge of a grid cell; the encoder strides them away"
    )
    slice_edges: list[float] = Field(
        [-0.5, 0.3, 0.8, 1.4, 2.2, 4.0], min_length=2, description="edges of the height slices, m, rising"
    )
    sweeps: Annotated[int, Field(ge=0, le=10)] = Field(0, description="earlier sweeps used at most")

    @field_validator("slice_edges")
    @classmethod
    def _rise(cls, edges: list[float]) -> list[float]:
        if any(high <= low for low, high in zip(edges, edges[1:])):
            raise ValueError("expected rising heights")
        return edges

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the raster's channels, in order."""
        slices = range(len(self.slice_edges) - 1)
        names = [f"{name}_{number}" for name in LIDAR_SLICE_CHANNELS for number in slices]
        return (*names, *LIDAR_COLUMN_CHANNELS)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.channel_names)


class StrengthNorm(Section):
    """How one kind of strength becomes about -1..1: (dB + per_decade_db log10(range / 20) - mean) / spread"""

    mean_db: float = Field(description="usual strength at 20 m, dB")
    spread_db: Positive = Field(description="usual spread, dB")
    per_decade_db: float = Field(0.0, description="what is lost per decade of range, dB")


class RadarInputs(Section):
    """The radar raster: (channels, scale X, scale Y), by footprint: elevation of a radar is not trusted."""

    scale: Annotated[int, Field(ge=1, le=4)] = Field(
        1, description="raster cells along the edge of a grid cell; the encoder strides them away"
    )
    sweeps: Annotated[int, Field(ge=0, le=10)] = Field(5, description="earlier scans used at most")
    strength: dict[Literal["rcs", "snr", "power"], StrengthNorm] = Field(
        {
            "rcs": StrengthNorm(mean_db=-2.0, spread_db=12.0),
            "snr": StrengthNorm(mean_db=20.0, spread_db=10.0, per_decade_db=20.0),
            "power": StrengthNorm(mean_db=53.0, spread_db=7.0, per_decade_db=9.0),
        },
        description="by kind of strength",
    )
    interval_mps: Positive = Field(
        100.0, description="interval taken for a radar whose velocity does not wrap, m/s"
    )
    fov_deg: Annotated[float, Field(gt=0, le=360)] = Field(
        120.0, description="azimuth that a radar is taken to see, for coverage, deg"
    )
    reach: Positive = Field(100.0, description="range up to which a radar is taken to see, for coverage, m")

    @field_validator("strength")
    @classmethod
    def _are_whole(cls, strength: dict[str, StrengthNorm]) -> dict[str, StrengthNorm]:
        missing = {"rcs", "snr", "power"} - set(strength)
        if missing:
            raise ValueError(f"expected every kind of strength, missing: {', '.join(sorted(missing))}")
        return strength

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the raster's channels, in order."""
        return RADAR_CHANNELS

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(RADAR_CHANNELS)


class CameraInputs(Section):
    """Images, feature rows, depth bins and the lift table (1, X, Y, Z, S)."""

    width_px: Count = Field(description="width of the network's image, px; images are scaled to it")
    height_px: Count = Field(
        description="its height, px; what is higher loses its top, what is lower is padded"
    )
    stride: Literal[4, 8, 16] = Field(8, description="image pixels along the edge of a feature pixel")
    rows_channels: Count = Field(16, description="channels of the thin rows that are lifted")
    full_rows_channels: Count = Field(48, description="channels of the rows of the second stage")
    widths: list[Count] = Field([16, 32, 64], min_length=1, description="channels per halving of the image")
    blocks: Annotated[int, Field(ge=0, le=32)] = Field(3, description="3x3 blocks at the last width")
    depth_bins: Annotated[int, Field(ge=2, le=256)] = Field(32, description="bins of range per feature pixel")
    depth_min: Positive = Field(
        2.0, description="where the first bin begins, m from the camera; nearer is in it"
    )
    depth_max: Positive = Field(70.0, description="where the last bin ends, m; farther is in it")
    heights: list[float] = Field(
        [0.3, 0.9, 1.5, 2.4], min_length=1, description="Z heights at which cells are looked up, m"
    )
    taps: Literal[1, 4] = Field(1, description="feature pixels per look-up: the nearest, or four weighted")
    slots: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="S taps kept per cell and height; a multiple of taps: one camera per taps slots"
    )
    max_cameras: Annotated[int, Field(ge=1, le=16)] = Field(6, description="cameras a model takes at most")

    @model_validator(mode="after")
    def _fits(self) -> CameraInputs:
        if self.width_px % self.stride or self.height_px % self.stride:
            raise ValueError(
                f"expected width and height to be multiples of stride {self.stride}, got {self.width_px}x"
                f"{self.height_px}"
            )
        if self.slots % self.taps:
            raise ValueError(f"expected slots to be a multiple of taps {self.taps}, got {self.slots}")
        if self.depth_max <= self.depth_min:
            raise ValueError(f"expected depth_max above depth_min {self.depth_min:g}, got {self.depth_max:g}")
        return self

    @property
    def rows_shape(self) -> tuple[int, int]:
        """Feature pixels (rows, columns) of one camera; row index = row * columns + column."""
        return self.height_px // self.stride, self.width_px // self.stride

    @property
    def rows_per_camera(self) -> int:
        """Feature pixels of one camera; those of camera c begin at c times this."""
        rows, columns = self.rows_shape
        return rows * columns

    @property
    def depth_edges(self) -> list[float]:
        """The depth_bins + 1 edges of the bins, m from the camera, evenly spaced in their logarithm."""
        ratio = math.log(self.depth_max / self.depth_min) / self.depth_bins
        return [self.depth_min * math.exp(ratio * number) for number in range(self.depth_bins + 1)]


class EncoderConfig(Section):
    """A raster's encoder: from its channels at its own resolution to `channels` on the grid."""

    widths: list[Count] = Field([32, 48], min_length=1, description="channels at full and at half grid")
    blocks: Annotated[int, Field(ge=0, le=16)] = Field(1, description="3x3 blocks at each")


class TrunkConfig(Section):
    """What follows fusion: channels on the grid, then a neck mostly at half and quarter grid."""

    channels: Count = Field(32, description="C, features per cell that every encoder gives to fusion")
    widths: list[Count] = Field([64, 96], min_length=1, description="channels at half and quarter grid")
    blocks: Annotated[list[int], Field(min_length=1)] = Field([2, 3], description="3x3 blocks at each")
    head_channels: Count = Field(48, description="channels of the one shared 3x3 before all heads, full grid")


class RefineConfig(Section):
    """The second stage: each candidate is looked at again in every sensor."""

    enabled: bool = True
    channels: Count = Field(64, description="hidden channels per candidate")
    points: Annotated[int, Field(ge=1, le=7)] = Field(
        3, description="places along each edge of a box looked at"
    )


class LearnedConfig(Section):
    """Everything that a learned model's sizes hang on."""

    name: str = Field(min_length=1, description="name of the model")
    grid: GridConfig
    classes: list[str] = Field(list(CLASSES[:-1]), min_length=1, description="classes of the heatmaps")
    lidar: LidarInputs = LidarInputs()
    radar: RadarInputs = RadarInputs()
    camera: CameraInputs
    lidar_encoder: EncoderConfig = EncoderConfig()
    radar_encoder: EncoderConfig = EncoderConfig(widths=[24, 32])
    fusion: FusionName = Field("soft_gate", description="operator that joins the sensors")
    joining: Literal["feature", "early", "late", "hybrid"] = Field(
        "feature", description="where sensors meet: see network/painting.py and detectors/joining.py"
    )
    depth: bool = Field(True, description="scale each tap by its depth bin's probability")
    bearing: bool = Field(
        False, description="cells know their bearing and range; velocity is told along and across the ray"
    )
    trunk: TrunkConfig = TrunkConfig()
    refine: RefineConfig = RefineConfig()
    top_k: Annotated[int, Field(ge=1, le=3840)] = Field(
        200, description="boxes per frame; TensorRT's TopK takes at most 3840"
    )

    @field_validator("classes")
    @classmethod
    def _are_classes(cls, classes: list[str]) -> list[str]:
        wrong = sorted(set(classes) - set(CLASSES[:-1]))
        if wrong:
            raise ValueError(f"not a class: {', '.join(wrong)}; known are {', '.join(CLASSES[:-1])}")
        if len(set(classes)) != len(classes):
            raise ValueError("a class stands there twice")
        return classes

    @property
    def lidar_shape(self) -> tuple[int, int, int]:
        """(C, X, Y) of the LiDAR raster."""
        (x, y), scale = self.grid.shape, self.lidar.scale
        return self.lidar.channels, x * scale, y * scale

    @property
    def radar_shape(self) -> tuple[int, int, int]:
        """(C, X, Y) of the radar raster."""
        (x, y), scale = self.grid.shape, self.radar.scale
        return self.radar.channels, x * scale, y * scale

    @property
    def lift_shape(self) -> tuple[int, int, int, int, int]:
        """(1, X, Y, Z, S) of the lift table."""
        x, y = self.grid.shape
        return 1, x, y, len(self.camera.heights), self.camera.slots

    def hash(self) -> str:
        """Twelve digits that name these sizes and choices."""
        values = self.model_dump(mode="json")
        values = {name: each for name, each in values.items() if (name, each) not in LATER_FIELDS.items()}
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def load_learned(name: str = "tiny") -> LearnedConfig:
    """The configuration by file path or by the name of a shipped one; raises `ConfigurationError`."""
    try:
        path = find_file("config/models", name)
    except ConfigurationError as error:
        raise ConfigurationError(f"model {error}") from None
    return load_config(path, LearnedConfig)


def with_fusion(config: LearnedConfig, name: str) -> LearnedConfig:
    """The same sizes with another fusion operator; raises `ConfigurationError` for an unknown name."""
    if name not in get_args(FusionName):
        raise ConfigurationError(f"fusion {name!r}: expected one of {', '.join(get_args(FusionName))}")
    return LearnedConfig.model_validate({**config.model_dump(), "fusion": name})


def with_values(config: LearnedConfig, words: Sequence[str]) -> LearnedConfig:
    """The config with others in place of some values, each told as `depth=false` or `camera.taps=4`.

    Raises `ConfigurationError` for what is no such word, no such key or no such value.
    """
    tree = config.model_dump(mode="json")
    for word in words:
        key, sign, value = word.partition("=")
        *sections, last = key.split(".")
        branch: Any = tree
        for name in sections:
            branch = branch.get(name) if isinstance(branch, dict) else None
        if not sign or not isinstance(branch, dict):
            raise ConfigurationError(f"--set {word}: expected KEY=VALUE with a key of the model's YAML")
        try:
            branch[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"--set {word}: expected a value as in YAML, got {value!r}") from error
    return parse_config(tree, LearnedConfig, "--set")
