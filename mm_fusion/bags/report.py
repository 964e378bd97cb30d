"""What a recording holds, as `mm-fusion info` prints it and writes a vehicle file from it."""

from __future__ import annotations

from dataclasses import dataclass

from mm_fusion.measurements import CameraModel, Float64, SensorKind


@dataclass(frozen=True, slots=True)
class Timing:
    """Stamps of one topic; None where too few messages say it.

    period_ms: median interval. brisk_ms: the interval that few stay below, near the true period where
    many are missing. jitter_ms: half the spread (5 to 95 %) of the intervals. gaps: intervals above three
    periods. latency_ms: receipt minus stamp, median, and its spread (5 to 95 %). backwards: stamps earlier
    than the one before.
    """

    count: int
    period_ms: float | None = None
    brisk_ms: float | None = None
    jitter_ms: float | None = None
    gaps: int = 0
    largest_gap_s: float | None = None
    latency_ms: float | None = None
    latency_spread_ms: float | None = None
    backwards: int = 0
    duplicates: int = 0

    @property
    def rate_hz(self) -> float | None:
        """Messages a second between gaps."""
        return 1000 / self.period_ms if self.period_ms else None


@dataclass(frozen=True, slots=True)
class TopicReport:
    """One topic. size_bytes: median of its messages."""

    name: str
    type: str
    frame_id: str
    size_bytes: int
    timing: Timing


@dataclass(frozen=True, slots=True)
class GroundReport:
    """Ground under a LiDAR, in the base frame: median tilt and height of `scans` fitted planes."""

    tilt_deg: float
    height_m: float
    scans: int


@dataclass(frozen=True, slots=True)
class LidarReport:
    """A LiDAR's scans. stamp_at and duration_ms from the times per point, None where there are none."""

    points: int
    rings: int | None
    stamp_at: str | None
    duration_ms: float | None
    ground: GroundReport | None


@dataclass(frozen=True, slots=True)
class RadarReport:
    """A radar's Doppler, and the ego speed found from it alone.

    sign: 1 receding positive, -1 approaching, None undecided. moving_share: of `scans` samples, those that
    gave an ego velocity; inlier_share, residual_mps and speed_mps are medians over them.
    """

    returns: int
    compensated: bool
    sign: int | None
    ambiguity_mps: float | None
    confidence: float
    scans: int
    estimates: int
    inlier_share: float | None
    residual_mps: float | None
    speed_mps: float | None


@dataclass(frozen=True, slots=True)
class SensorReport:
    """A sensor found in the recording. offset_ms: its stamps after the reference's nearest, median, and
    spread.

    base_from_sensor: (4, 4), None where its frame is not joined to the base frame. replaces: other topics
    that carry the same measurements.
    """

    name: str
    kind: SensorKind
    topic: str
    frame_id: str
    timing: Timing
    base_from_sensor: Float64 | None
    replaces: tuple[str, ...] = ()
    info_topic: str | None = None
    model: CameraModel | None = None
    offset_ms: float | None = None
    offset_spread_ms: float | None = None
    lidar: LidarReport | None = None
    radar: RadarReport | None = None

    @property
    def placed(self) -> bool:
        """Whether the recording says where it sits."""
        return self.base_from_sensor is not None


@dataclass(frozen=True, slots=True)
class EgoReport:
    """A source of ego motion in the recording: its kind as a vehicle file names it, and its topic or fixed
    frame.
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class BagReport:
    """A recording. base_frame: None where no transform names one. reference: the sensor that should open
    frames.
    """

    path: str
    start_ns: int
    end_ns: int
    topics: tuple[TopicReport, ...]
    sensors: tuple[SensorReport, ...]
    frames: tuple[str, ...]
    base_frame: str | None
    ego: tuple[EgoReport, ...]
    reference: str | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Time between the first and the last receipt."""
        return (self.end_ns - self.start_ns) / 1e9
