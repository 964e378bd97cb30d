"""The configuration tree: what a vehicle carries, how frames are made, what the detectors tune.

Every number that a user may turn stands here with its unit, range and reason; an unknown key is an error that
names it. `nodes` declares the same tree as ROS parameters by walking it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import SensorKind

Vector3 = tuple[float, float, float]


class Section(BaseModel):
    """A part of the tree: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Mount(Section):
    """Where a sensor sits in `base_frame`; stands in where no transform names its frame."""

    xyz: Vector3 = Field((0.0, 0.0, 0.0), description="position in base_frame, m")
    rpy_deg: Vector3 = Field(
        (0.0, 0.0, 0.0), description="roll, pitch, yaw of the sensor's own axes, degrees"
    )


class CameraIntrinsics(Section):
    """A camera's model, for the simulator and where no CameraInfo comes."""

    width_px: Annotated[int, Field(gt=0, le=20000, description="image width, px")]
    height_px: Annotated[int, Field(gt=0, le=20000, description="image height, px")]
    matrix: Annotated[list[float], Field(min_length=9, max_length=9, description="3x3 by rows, px")]
    distortion: list[float] = Field([], description="coefficients in OpenCV's order")
    distortion_model: Literal["plumb_bob", "rational_polynomial", "equidistant"] = "plumb_bob"


class SensorConfig(Section):
    """One sensor: where its messages are, how its time and fields are to be read."""

    kind: SensorKind
    topic: str = Field(min_length=1, description="topic of its messages")
    message: str = Field("auto", description="message type, auto: as published")
    info_topic: str | None = Field(None, description="CameraInfo of a camera or of image detections")
    frame: str | None = Field(None, description="frame to use in place of the header's")
    qos: Literal["auto", "reliable", "best_effort"] = Field(
        "auto", description="reliability asked for; auto: what is offered"
    )

    stamp_source: Literal["header", "receipt"] = Field("header", description="receipt: where headers lie")
    stamp_offset_ms: float = Field(0.0, ge=-1e6, le=1e6, description="added to each stamp, ms")
    stamp_at: Literal["start", "middle", "end"] = Field(
        "middle", description="moment of the scan or exposure"
    )
    duration_ms: float = Field(0.0, ge=0, le=1000, description="length of a scan or exposure, ms")
    row_time_us: float = Field(0.0, ge=0, le=1000, description="rolling shutter: time per image row, us")
    period_ms: float | None = Field(None, gt=0, le=60000, description="given period, ms; unset: measured")
    latency_ms: float | None = Field(
        None, ge=0, le=60000, description="given p90 latency, ms; unset: measured"
    )
    jitter_ms: float | None = Field(
        None, ge=0, le=60000, description="given bound of jitter, ms; unset: measured"
    )
    max_age_ms: float = Field(
        150.0, gt=0, le=60000, description="furthest from the reference time in use, ms"
    )
    sweeps: int = Field(0, ge=0, le=20, description="earlier sweeps beside the newest")

    fields: dict[str, str] = Field(
        {}, description="property -> field name of the cloud, over the built-in table"
    )
    doppler_sign: Literal[-1, 1] = Field(1, description="1: receding is positive in the messages")
    ambiguity_mps: float | None = Field(None, gt=0, le=1000, description="full Doppler interval, m/s")
    strength_kind: Literal["rcs", "snr", "power"] | None = Field(None, description="unset: by field name")
    intensity_scale: float | None = Field(
        None, gt=0, description="intensity value that means 1; unset: guessed"
    )
    min_range_m: float = Field(0.0, ge=0, le=100, description="nearer points are the car itself, m")
    max_range_m: float = Field(300.0, gt=0, le=2000, description="farther points are not used, m")

    mount: Mount | None = None
    unit: str | None = Field(
        None, description="beam table or radar type for the simulator, such as hdl32, ars408"
    )
    camera: CameraIntrinsics | None = None

    @model_validator(mode="after")
    def _belongs_to_its_kind(self) -> SensorConfig:
        if self.camera is not None and self.kind not in ("camera", "image_detections"):
            raise ValueError(
                f"camera intrinsics stand at a sensor of kind {self.kind}; move them to the camera"
            )
        return self


class EgoSource(Section):
    """One source of ego motion; the first of the list that is alive is used."""

    kind: Literal["odometry", "twist", "tf", "radar"]
    topic: str | None = Field(None, description="topic of odometry or twist")
    frame: str = Field("odom", description="fixed frame, for kind tf")

    @model_validator(mode="after")
    def _has_its_topic(self) -> EgoSource:
        if self.kind in ("odometry", "twist") and not self.topic:
            raise ValueError(f"an ego_motion source of kind {self.kind} needs a topic")
        return self


class EgoBox(Section):
    """The vehicle's own body in `base_frame`; points inside are not the world."""

    min: Vector3 = Field(description="rear right bottom corner, m")
    max: Vector3 = Field(description="front left top corner, m")


class AlignmentConfig(Section):
    """How measurements become frames (the deadline collector)."""

    reference: list[str] = Field(min_length=1, description="sensors that open frames, most preferred first")
    reference_offset_ms: float = Field(
        0.0, ge=-1000, le=1000, description="reference time after that stamp, ms"
    )
    rate_hz: float = Field(10.0, gt=0, le=100, description="frames per second at most, Hz")
    budget_ms: float = Field(60.0, ge=0, le=5000, description="longest wait after the opening message, ms")
    silent_periods: float = Field(3.0, ge=1, le=100, description="periods without a message until silent")
    future_ms: float = Field(
        100.0, gt=0, le=60000, description="stamp ahead of plausible by more is dropped, ms"
    )
    reset_s: float = Field(1.0, gt=0, le=3600, description="time going back by more resets everything, s")
    queue: int = Field(64, ge=2, le=10000, description="measurements kept per sensor at most")


class VehicleConfig(Section):
    """One car: frames, sensors, ego motion, alignment and model."""

    base_frame: str = Field("base_link", description="level body frame on the ground")
    output_frame: str = Field("base_link", description="frame of all outputs")
    ego_motion: list[EgoSource] = Field([], description="sources of ego motion, most preferred first")
    sensors: dict[str, SensorConfig] = Field(min_length=1)
    ego_box: EgoBox | None = None
    alignment: AlignmentConfig
    model: str = Field("tiny", description="geometric, a shipped model's name, a checkpoint or a folder")

    @model_validator(mode="after")
    def _names_agree(self) -> VehicleConfig:
        for name in self.alignment.reference:
            if name not in self.sensors:
                raise ValueError(f"alignment.reference names {name!r}; sensors are {', '.join(self.sensors)}")
        if self.output_frame != self.base_frame:
            raise ValueError(f"output_frame {self.output_frame!r} must be base_frame {self.base_frame!r}")
        return self


T = TypeVar("T", bound=Section)


def load_config(path: str | Path, kind: type[T]) -> T:
    """The configuration in a YAML file; raises `ConfigurationError` naming file, key, value and cure."""
    try:
        with open(path, encoding="utf-8") as file:
            tree = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: is not YAML: {error}") from error
    return parse_config(tree, kind, str(path))


def parse_config(tree: Any, kind: type[T], where: str) -> T:
    """`tree` checked as a `kind`; raises `ConfigurationError` that names each wrong key as a.b.c."""
    if not isinstance(tree, dict):
        raise ConfigurationError(f"{where}: expected keys and values, got {type(tree).__name__}")
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        texts = [_explain(where, entry, kind) for entry in error.errors()]
        raise ConfigurationError("\n".join(texts)) from None


def _explain(where: str, entry: Any, kind: type[Section]) -> str:
    key = ".".join(str(part) for part in entry["loc"]) or "(whole file)"
    if entry["type"] == "extra_forbidden":
        known = [name for each in sections_at(kind, entry["loc"][:-1]) for name in each.model_fields]
        near = get_close_matches(str(entry["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known) or 'none'}"
        return f"{where}: unknown key {key}; {hint}"
    if entry["type"] == "missing":
        return f"{where}: {key} is missing"
    if entry["type"] == "value_error":  # says itself what came; the input is the whole section
        return f"{where}: {key}: {entry['ctx']['error']}"
    return f"{where}: {key}: {entry['msg']}, got {entry['input']!r}"


def sections_at(annotation: Any, place: Sequence[str | int]) -> list[type[Section]]:
    """The kinds of section that may stand at a place (keys and indices) below something of that type."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        if not place:
            return [annotation]
        field = annotation.model_fields.get(str(place[0]))
        return [] if field is None else sections_at(field.annotation, place[1:])
    inside = get_args(annotation)
    if get_origin(annotation) in (dict, list, tuple):
        return sections_at(inside[-1], place[1:])
    return [found for each in inside for found in sections_at(each, place)]


def dump_config(config: Section) -> str:
    """The resolved tree as YAML, as it is written beside every result."""
    return yaml.safe_dump(
        config.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True
    )


def find_file(folder: str, name: str) -> Path:
    """The path of `name`: as given where it exists, else in `folder` of the package (`config/vehicles`, ...).

    Looked up in the source tree, the ament index and `sys.prefix/share/mm_fusion`, in this order; a `.yaml`
    may be left out. Raises `ConfigurationError` with what there is to choose from.
    """
    if Path(name).is_file():
        return Path(name)
    known: set[str] = set()
    for root in share_roots():
        for candidate in (root / folder / name, root / folder / f"{name}.yaml"):
            if candidate.is_file():
                return candidate
        known.update(path.name for path in (root / folder).glob("*") if path.is_file())
    raise ConfigurationError(
        f"{name}: no such file, and not one of {folder}: {', '.join(sorted(known)) or 'nothing there'}"
    )


def share_roots() -> list[Path]:
    """Existing folders that hold config/, launch/ and rosbags/ of the package, most preferred first."""
    roots = [Path(__file__).resolve().parent.parent]
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    roots += [Path(prefix) / "share" / "mm_fusion" for prefix in (*prefixes, sys.prefix) if prefix]
    return [root for root in roots if (root / "config").is_dir()]


def load_vehicle(name: str) -> VehicleConfig:
    """A vehicle by file path or by the name of a shipped one (`astyx`, `nuscenes_like`, `minimal`)."""
    return load_config(find_file("config/vehicles", name), VehicleConfig)
