"""Truth read from a recording, each frame with the calibration and ego motion of its own time."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from mm_fusion.bags.read import BagMessage, BagReader, open_bag
from mm_fusion.bags.truth import TRUTH_CLOUD_TOPIC
from mm_fusion.errors import MeasurementError, ResultError, TransformError
from mm_fusion.evaluation.scenes import Camera, Scene, Truth
from mm_fusion.geometry.transform_buffer import TransformBuffer
from mm_fusion.measurements import CameraModel, EgoMotion
from mm_fusion.messages.ego import decode_odometry
from mm_fusion.messages.encode import decode_detections_cloud
from mm_fusion.messages.images import decode_camera_info
from mm_fusion.messages.transforms import decode_transforms

STATIC_TOPIC = "/tf_static"


class _State:
    """What the recording has said so far of the car: transforms, camera models, ego motion."""

    def __init__(self) -> None:
        self.buffer = TransformBuffer()
        self.models: dict[str, CameraModel] = {}
        self.ego: EgoMotion | None = None

    def take(self, message: Any, kind: str, topic: str) -> None:
        if kind.endswith("TFMessage"):
            self.buffer.add(decode_transforms(message, static=topic == STATIC_TOPIC))
        elif kind.endswith("CameraInfo"):
            self.models[message.header.frame_id] = decode_camera_info(message)
        elif kind.endswith("Odometry"):
            self.ego = decode_odometry(message)

    def cameras(self, base_frame: str, stamp_ns: int) -> dict[str, Camera]:
        found = {}
        for frame, model in self.models.items():
            try:
                found[frame] = Camera(model, self.buffer.lookup(frame, base_frame, stamp_ns))
            except TransformError:
                continue  # a camera without a place cannot say what it sees
        return found


def read_truth_scenes(path: str | Path) -> Truth:
    """The scenes of a bag with `/ground_truth_cloud`; raises `ResultError` where it has none."""
    with open_bag(path) as reader:
        if TRUTH_CLOUD_TOPIC not in reader.topics:
            there = ", ".join(sorted(reader.topics)) or "none"
            raise ResultError(f"{path}: expected truth on {TRUTH_CLOUD_TOPIC}; topics there: {there}")
        state = _State()
        scenes = _scenes(reader, state)
    if len({scene.stamp_ns for scene in scenes}) < len(scenes):
        raise ResultError(f"{path}: two truth frames have one stamp; was the bag recorded in a loop?")
    return Truth(sorted(scenes, key=lambda scene: scene.stamp_ns), frozenset(state.buffer.frames()))


def _scenes(reader: BagReader, state: _State) -> list[Scene]:
    """Truth belongs to the calibration of its own instant: messages of one receipt time count before it."""
    told = {name for name, info in reader.topics.items() if _tells_of_the_car(info.type)}
    scenes = []
    for _, group in groupby(
        reader.messages(told | {TRUTH_CLOUD_TOPIC}), key=lambda bag_message: bag_message.receipt_ns
    ):
        instant = list(group)
        for bag_message in instant:
            _take(state, bag_message)
        truths = [bag_message.message for bag_message in instant if bag_message.topic == TRUTH_CLOUD_TOPIC]
        scenes += [_scene(message, state) for message in truths]
    return scenes


def _tells_of_the_car(kind: str) -> bool:
    return kind.rpartition("/")[2] in ("TFMessage", "CameraInfo", "Odometry")


def _take(state: _State, bag_message: BagMessage) -> None:
    try:
        state.take(bag_message.message, bag_message.type, bag_message.topic)
    except MeasurementError:
        return  # a broken calibration message says nothing; `info` and `run` count it


def _scene(message: Any, state: _State) -> Scene:
    objects, extra = decode_detections_cloud(message)
    stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
    frame_id = message.header.frame_id
    return Scene(stamp_ns, frame_id, objects, extra, state.cameras(frame_id, stamp_ns), state.ego)
