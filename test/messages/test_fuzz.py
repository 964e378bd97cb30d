"""Whatever comes, a decoder gives a valid record or a `MeasurementError` that names the topic."""

from __future__ import annotations

from types import SimpleNamespace as Message

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mm_fusion.config import VehicleConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import CameraImage, CameraModel, Deferred, LidarSweep
from mm_fusion.messages.cloud_fields import LIDAR_FIELDS, RADAR_FIELDS
from mm_fusion.messages.encode import decode_detections_cloud
from mm_fusion.messages.image_encodings import ENCODINGS
from mm_fusion.messages.images import decode_pixels
from mm_fusion.messages.routes import Route, decode

cv2 = pytest.importorskip("cv2")
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = ("lidar", "radar", "camera", "radar_tracks", "image_detections")
VEHICLE = VehicleConfig.model_validate(
    {"sensors": {k: {"kind": k, "topic": f"/{k}"} for k in KINDS}, "alignment": {"reference": ["lidar"]}}
)
NUMBER = st.one_of(st.floats(width=32), st.sampled_from([0.0, 1e30, -1.0, float("nan"), float("inf")]))
SIZE = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))
ANY_DATATYPE = st.sampled_from([*range(1, 9)] * 4 + [0, 9])
NAMES = sorted({n for table in (LIDAR_FIELDS, RADAR_FIELDS) for names in table.values() for n in names})


def header():
    stamp = st.builds(Message, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1))
    good = st.just(Message(sec=1_700_000_000, nanosec=0))
    frames = st.sampled_from(["a", "/b", "base_link", "c", ""])
    return st.builds(Message, stamp=st.one_of(good, good, good, stamp), frame_id=frames)


def vector():
    return st.builds(Message, x=NUMBER, y=NUMBER, z=NUMBER, w=NUMBER)


def item_of(route: Route, message):
    """The decoded item, or None for a message that was refused as it should be."""
    try:
        item = decode(route, message, VEHICLE, 5)
        assert not isinstance(item, Deferred) or isinstance(item.frame_id, str) and item.frame_id
        return item.get() if isinstance(item, Deferred) else item
    except MeasurementError as error:
        assert "expected" in str(error) and str(error).startswith("/"), str(error)
        return None


def assert_finite(record) -> None:
    for name in (
        "xyz",
        "intensity",
        "radial_velocity",
        "strength_db",
        "center",
        "velocity",
        "box_px",
        "score",
    ):
        assert np.isfinite(getattr(record, name, 0)).all(), name


@st.composite
def clouds(draw):
    """Clouds that hold together for the most part, with any fields, and bytes that may be anything."""
    names = ["x", "y", "z", "doppler", *draw(st.lists(st.sampled_from([*NAMES, "junk"]), max_size=5))]
    fields, at = [], 0
    for name in names:
        datatype = draw(st.sampled_from([7, 8]) if name in "xyz" else ANY_DATATYPE)
        fields.append(Message(name=name, offset=at, datatype=datatype, count=1))
        at += draw(st.integers(0, 1)) + {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 8: 8}.get(datatype, 1)
    width, height, padding = draw(st.integers(0, 30)), draw(st.integers(0, 3)), draw(st.integers(0, 3))
    row_step = width * at + padding
    data = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, row_step * height, np.uint8)
    if draw(st.booleans()) and width * height:  # else few of the random positions are in range
        for field in fields[:3]:
            dtype = {7: "f4", 8: "f8"}[field.datatype]
            np.ndarray((height, width), dtype, data, field.offset, (row_step, at))[:] = draw(
                st.floats(-50, 50)
            )
    sizes = st.sampled_from(["width", "height", "point_step", "row_step"])
    changed = {draw(sizes): draw(SIZE)} if draw(st.integers(0, 4)) == 0 else {}
    given = dict(width=width, height=height, point_step=at, row_step=row_step, data=data, fields=fields)
    bigendian = draw(st.booleans())
    return Message(header=draw(header()), is_bigendian=bigendian, is_dense=True, **{**given, **changed})


@FUZZ
@given(clouds())
def test_lidar_clouds(message):
    sweep = item_of(Route("lidar", "measurement"), message)
    if sweep is not None:
        assert isinstance(sweep, LidarSweep) and len(sweep.xyz) <= message.width * message.height
        assert_finite(sweep)
        assert ((sweep.intensity >= 0) & (sweep.intensity <= 1)).all()
        assert (np.linalg.norm(sweep.xyz.astype(np.float64), axis=1) <= 300.001).all()


@FUZZ
@given(clouds())
def test_radar_clouds(message):
    scan = item_of(Route("radar", "measurement"), message)
    if scan is not None:
        assert_finite(scan)


@FUZZ
@given(clouds())
def test_detection_clouds(message):
    try:
        decode_detections_cloud(message)
    except MeasurementError as error:
        assert "expected" in str(error)


@FUZZ
@given(
    st.builds(
        Message,
        header=header(),
        width=SIZE,
        height=SIZE,
        step=SIZE,
        encoding=st.one_of(st.sampled_from(sorted(ENCODINGS)), st.text(max_size=8)),
        is_bigendian=st.integers(0, 1),
        data=st.integers(0, 3000).map(bytes),
    )
)
def test_images(message):
    image = item_of(Route("camera", "measurement"), message)
    if image is not None:
        assert isinstance(image, CameraImage) and image.pixels.shape == (message.height, message.width, 3)


@FUZZ
@given(
    st.sampled_from(sorted(ENCODINGS)),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 5),
    st.binary(min_size=4),
)
def test_images_of_fitting_size(encoding, width, height, padding, seed):
    channels = ENCODINGS[encoding].channels * ENCODINGS[encoding].bytes_per_channel
    step = width * channels + padding
    data = np.resize(np.frombuffer(seed, np.uint8), step * (height * ENCODINGS[encoding].rows_per_two // 2))
    stamp = Message(stamp=Message(sec=1, nanosec=0), frame_id="a")
    image = item_of(
        Route("camera", "measurement"),
        Message(
            header=stamp, width=width, height=height, step=step, encoding=encoding, is_bigendian=0, data=data
        ),
    )
    assert image is None or image.pixels.shape == (height, width, 3)


def coded(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    return cv2.imencode(kind, pixels)[1].tobytes()


@FUZZ
@given(
    st.sampled_from([coded(".jpg"), coded(".png"), b"\xff\xd8\xff", b""]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
    st.integers(0, 5000),
    st.binary(max_size=30),
)
def test_compressed_images(data, changes, length, tail):
    spoiled = bytearray(data[:length] + tail)
    for at, value in changes:
        if spoiled:
            spoiled[at % len(spoiled)] = value
    head = Message(stamp=Message(sec=1, nanosec=0), frame_id="a")
    message = Message(header=head, format="jpeg", data=bytes(spoiled))
    image = item_of(Route("camera", "measurement"), message)
    try:
        assert image is None or decode_pixels(image, 2).ndim == 3
    except MeasurementError as error:
        assert "expected a whole JPEG or PNG" in str(error)


SMALL = st.one_of(st.integers(100, 2000), SIZE)
ROI = st.one_of(
    st.just(Message(x_offset=0, y_offset=0, width=0, height=0)),
    st.builds(Message, x_offset=SIZE, y_offset=SIZE, width=SIZE, height=SIZE),
)


@FUZZ
@given(
    st.builds(
        Message,
        header=header(),
        width=SMALL,
        height=SMALL,
        distortion_model=st.sampled_from(["plumb_bob", "rational_polynomial", "fisheye", "", "odd"]),
        d=st.one_of(st.just([0.1] * 4), st.lists(NUMBER, max_size=14)),
        k=st.one_of(st.just([9.0, 0, 5, 0, 9, 5, 0, 0, 1]), st.lists(NUMBER, min_size=9, max_size=9)),
        r=st.lists(NUMBER, min_size=9, max_size=9),
        p=st.lists(NUMBER, min_size=12, max_size=12),
        binning_x=st.one_of(st.integers(0, 2), SIZE),
        binning_y=st.integers(0, 2),
        roi=ROI,
    )
)
def test_camera_infos(message):
    model = item_of(Route("camera", "camera_info"), message)
    assert model is None or isinstance(model, CameraModel)


RETURN = st.builds(
    Message, range=NUMBER, azimuth=NUMBER, elevation=NUMBER, doppler_velocity=NUMBER, amplitude=NUMBER
)
SIX = st.lists(NUMBER, min_size=6, max_size=6)
UUID = st.builds(Message, uuid=st.binary(min_size=16, max_size=16).map(lambda b: np.frombuffer(b, np.uint8)))
TRACK = st.builds(
    Message,
    uuid=UUID,
    position=vector(),
    velocity=vector(),
    size=vector(),
    classification=st.integers(0, 65535),
    position_covariance=SIX,
    velocity_covariance=SIX,
)


@FUZZ
@given(st.builds(Message, header=header(), returns=st.lists(RETURN, max_size=5)))
def test_radar_scans(message):
    assert_finite(item_of(Route("radar", "measurement"), message))


@FUZZ
@given(st.builds(Message, header=header(), tracks=st.lists(TRACK, max_size=4)))
def test_radar_tracks(message):
    tracks = item_of(Route("radar_tracks", "measurement"), message)
    if tracks is not None:
        assert_finite(tracks)
        assert np.isfinite(tracks.position_cov).all() and (tracks.track_id >= 0).all()


HYPOTHESIS = st.builds(Message, class_id=st.text(max_size=9), score=NUMBER)
BBOX = st.builds(
    Message, center=st.builds(Message, position=vector(), theta=NUMBER), size_x=NUMBER, size_y=NUMBER
)
DETECTION = st.builds(
    Message, bbox=BBOX, results=st.lists(st.builds(Message, hypothesis=HYPOTHESIS), max_size=3)
)


@FUZZ
@given(st.builds(Message, header=header(), detections=st.lists(DETECTION, max_size=4)))
def test_image_detections(message):
    assert_finite(item_of(Route("image_detections", "measurement"), message))


TWIST = st.builds(
    Message,
    twist=st.builds(Message, linear=vector(), angular=vector()),
    covariance=st.lists(NUMBER, min_size=36, max_size=36),
)
POSE = st.builds(Message, pose=st.builds(Message, position=vector(), orientation=vector()))


@FUZZ
@given(
    st.builds(
        Message,
        header=header(),
        child_frame_id=st.sampled_from(["", "base_link", "x"]),
        pose=POSE,
        twist=TWIST,
    )
)
def test_ego_motion(message):
    for role in ("odometry", "twist"):
        ego = item_of(Route("/odom", role), message)
        assert ego is None or np.isfinite(ego.linear_velocity).all()


TRANSFORM = st.builds(
    Message,
    header=header(),
    child_frame_id=st.sampled_from(["", "a", "c"]),
    transform=st.builds(Message, translation=vector(), rotation=vector()),
)


@FUZZ
@given(st.builds(Message, transforms=st.lists(TRANSFORM, max_size=3)))
def test_transforms(message):
    edges = item_of(Route("/tf", "tf"), message)
    assert edges is None or all(np.isfinite(edge.parent_from_child).all() for edge in edges)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("junk", [None, 5, "text", Message(), Message(header=None), [1, 2], object()])
def test_things_that_are_no_messages(kind, junk):
    for role in ("measurement", "camera_info"):
        assert item_of(Route(kind, role), junk) is None
