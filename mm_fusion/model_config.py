"""What the detector without training tunes; read from `config/models/geometric.yaml`, every number with its
reason.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from mm_fusion.config import Section, find_file, load_config
from mm_fusion.detections import CLASSES
from mm_fusion.errors import ConfigurationError

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
MeanAndSpread = tuple[Positive, Positive]


class ClassPrior(Section):
    """Size of one class, each as mean and standard deviation, and how common it is."""

    length: MeanAndSpread = Field(description="m")
    width: MeanAndSpread = Field(description="m")
    height: MeanAndSpread = Field(description="m")
    weight: Positive = Field(1.0, description="how common it is on the road, relative to the other classes")


class LidarScoreConfig(Section):
    """Log-odds that a claimed cluster is an object: found on the `train` runs of Astyx."""

    bias: float = Field(0.3, description="log-odds of a cluster with one point and no other clue")
    log_points: float = Field(0.85, description="per natural logarithm of the number of points")
    cost: float = Field(-0.2, description="per squared sigma from the class's size")
    oddness: float = Field(
        -0.28, description="per point of others, and half per ground point, inside the box"
    )
    distance: float = Field(-0.05, description="per metre from the sensor")
    unseen_width: float = Field(-1.4, description="per metre of the width that was not seen")
    ground: float = Field(-2.3, description="per metre, up to 1, that the ground there lies off z = 0")
    unknown: float = Field(-2.0, description="for what no class claims")


class LidarObjectsConfig(Section):
    """From a LiDAR's points to oriented boxes."""

    reach: Positive = Field(80.0, description="clusters farther from base_link are not looked for, m")
    min_height: Positive = Field(
        0.25, description="lower points are kerbs and ground left over, m above ground"
    )
    max_height: Positive = Field(3.8, description="higher points are bridges and crowns, m above ground")
    voxel: Positive = Field(0.12, description="points are thinned to one per cube of this edge, m")
    gap: Positive = Field(0.8, description="largest gap inside an object at the sensor, m")
    gap_per_metre: Annotated[float, Field(ge=0, le=0.2)] = Field(
        0.012, description="growth of that gap with range"
    )
    height_share: Share = Field(0.15, description="weight of height differences beside those on the ground")
    min_points: Annotated[int, Field(ge=1)] = Field(3, description="smaller clusters are noise, points")
    split_above: Positive = Field(
        7.0, description="clusters longer than this are cut again with a smaller gap, m"
    )
    split_gap: Share = Field(0.5, description="that smaller gap as a share of the first")
    largest: Positive = Field(30.0, description="clusters longer than this are walls and hedges, left out, m")
    row_weight: Annotated[float, Field(ge=0)] = Field(
        4.0, description="weight of how neighbours stand, squared sigmas"
    )
    row_reach: Positive = Field(12.0, description="how near a neighbour is, m")
    yaw_step_deg: Annotated[float, Field(ge=0.5, le=15)] = Field(
        2.0, description="step of the search over yaw, deg"
    )
    road_weight: Annotated[float, Field(ge=0, le=2)] = Field(
        0.2, description="how far sparse clusters are taken to stand along or across our own heading"
    )
    score: LidarScoreConfig = LidarScoreConfig()


class RadarScoreConfig(Section):
    """Log-odds that a claimed cluster of returns is an object: found on the `train` runs of Astyx."""

    bias: float = Field(-5.2, description="log-odds of a cluster with one return and no other clue")
    log_returns: float = Field(1.35, description="per natural logarithm of the number of returns")
    moving: float = Field(2.2, description="for what moves for sure, against what cannot")
    cost: float = Field(-0.45, description="per squared sigma from the class's size")
    too_high: float = Field(-0.9, description="per metre of mean height above a car's middle")
    unknown: float = Field(-3.0, description="for what no class claims")


class RadarObjectsConfig(Section):
    """From radar returns to moving and standing objects."""

    reach: Positive = Field(100.0, description="returns farther from base_link are not used, m")
    gap: Positive = Field(1.2, description="largest distance between returns of one object, m")
    gap_per_metre: Annotated[float, Field(ge=0, le=0.2)] = Field(
        0.01, description="growth of that gap with range"
    )
    doppler_gap_mps: Positive = Field(
        1.0, description="ground velocity along the ray that weighs as much as gap, m/s"
    )
    min_returns: Annotated[int, Field(ge=1)] = Field(4, description="smaller clusters are noise, returns")
    outliers: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.05, description="share of returns beyond each side"
    )
    extent_sigma: Positive = Field(0.6, description="standard deviation of a cluster's extent, m")
    motion_weight: Annotated[float, Field(ge=0)] = Field(
        8.0, description="weight of motion for a box along the ray"
    )
    standing_sigma: Positive = Field(
        0.45, description="standard deviation of what stands, by errors of ego motion, m/s"
    )
    moving_prior: Share = Field(0.3, description="share of objects that move, before Doppler is looked at")
    speed_spread: Positive = Field(
        8.0, description="spread of road users' speed along a ray, m/s; weighs multiples"
    )
    velocity_sigma: Positive = Field(0.25, description="standard deviation of one object's Doppler, m/s")
    across_sigma: Positive = Field(
        30.0, description="standard deviation of velocity across the ray: unobserved, m/s"
    )
    score: RadarScoreConfig = RadarScoreConfig()


class CameraObjectsConfig(Section):
    """From 2D boxes of any image detector to objects in space."""

    min_score: Share = Field(0.3, description="weaker 2D objects are not used")
    min_overlap: Share = Field(
        0.25, description="IoU of a projected object with a 2D box that makes them one"
    )
    reach: Positive = Field(80.0, description="ground points of boxes farther than this are not believed, m")
    pixel_sigma: Positive = Field(6.0, description="standard deviation of a box edge, px")


class LateFusionConfig(Section):
    """How objects of several sensors become one list."""

    gate: Positive = Field(
        9.2, description="largest squared Mahalanobis distance of two sights of one object"
    )
    overlap_weight: Annotated[float, Field(ge=0)] = Field(
        3.0, description="cost of no overlap beside that distance"
    )
    calibration_sigma_deg: Annotated[float, Field(ge=0)] = Field(
        0.3, description="unknown turn of a sensor, deg"
    )
    calibration_sigma: Annotated[float, Field(ge=0)] = Field(0.05, description="unknown shift of a sensor, m")
    timing_sigma_s: Annotated[float, Field(ge=0)] = Field(0.01, description="unknown delay of a sensor, s")
    unknown_speed: Annotated[float, Field(ge=0)] = Field(
        8.0, description="speed of what may move, for timing, m/s"
    )
    prior_existence: Share = Field(
        0.2, description="share of candidate objects that are real, before any sensor"
    )
    doubles_overlap: Share = Field(
        0.2, description="footprint IoU with a stronger object above which one is its double"
    )
    heading_mps: Positive = Field(1.0, description="speed from which on motion says where the front is, m/s")
    min_score: Share = Field(0.02, description="weaker objects are not published")


class GeometricConfig(Section):
    """Everything that the geometric detector tunes."""

    lidar: LidarObjectsConfig = LidarObjectsConfig()
    radar: RadarObjectsConfig = RadarObjectsConfig()
    camera: CameraObjectsConfig = CameraObjectsConfig()
    fusion: LateFusionConfig = LateFusionConfig()
    classes: dict[str, ClassPrior] = Field(min_length=1, description="classes that are looked for")

    @field_validator("classes")
    @classmethod
    def _are_classes(cls, classes: dict[str, ClassPrior]) -> dict[str, ClassPrior]:
        wrong = sorted(set(classes) - set(CLASSES[:-1]))
        if wrong:
            raise ValueError(f"not a class: {', '.join(wrong)}; known are {', '.join(CLASSES[:-1])}")
        return classes


def load_geometric(name: str = "geometric") -> GeometricConfig:
    """The configuration by file path or by the name of a shipped one; raises `ConfigurationError`."""
    try:
        path = find_file("config/models", name)
    except ConfigurationError as error:
        raise ConfigurationError(f"model {error}") from None
    return load_config(path, GeometricConfig)
