from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mm_fusion.inputs.network_inputs import InputMaker, make_inputs
from mm_fusion.measurements import CameraImage, LidarSweep, RadarScan
from test.inputs.scene import STAMP, config, frame, image, scan, sweep, vehicle

MAKER = InputMaker(config(), vehicle())
ANY = st.floats(width=32, allow_nan=True, allow_infinity=True)
SHAPES = {
    "images": (2, 3, 64, 128),
    "camera_present": (2,),
    "lidar": (1, 9, 32, 32),
    "radar": (1, 11, 32, 32),
    "lift_index": (1, 32, 32, 2, 1),
    "lift_bin": (1, 32, 32, 2, 1),
    "lift_weight": (1, 32, 32, 2, 1),
    "camera_age": (1, 1, 32, 32),
    "coverage": (1, 3, 32, 32),
    "available": (3,),
}


def check(inputs) -> None:
    """What holds for any frame."""
    sizes = config()
    assert {name: array.shape for name, array in inputs.items()} == SHAPES
    assert all(np.isfinite(array).all() for array in inputs.values())
    rows = sizes.camera.max_cameras * sizes.camera.rows_per_camera
    assert inputs["lift_index"].min() >= 0 and inputs["lift_index"].max() < rows
    assert np.array_equal(inputs["lift_bin"] // sizes.camera.depth_bins, inputs["lift_index"])
    assert inputs["coverage"].min() >= 0 and inputs["coverage"].max() <= 1
    for number, name in enumerate(("camera_present", "lidar", "radar")):
        if not inputs["available"][number]:
            assert not inputs[name].any() and not inputs["coverage"][0, number].any()


def test_no_sensors_give_zeros():
    inputs = make_inputs(frame({}), vehicle(), config())
    check(inputs)
    assert not any(array.any() for array in inputs.values())


def test_all_sensors_are_there():
    given = {"lidar": sweep([[10, 0, 1]]), "radar": scan([[10, 0, 1]], [0]), "camera": image()}
    inputs = MAKER.make(frame(given))
    check(inputs)
    assert inputs["available"].tolist() == [1, 1, 1] and inputs["camera_present"].tolist() == [1, 0]
    assert (inputs["images"][0] == 100).all() and not inputs["images"][1].any()
    assert inputs["lidar"].any() and inputs["radar"].any() and inputs["lift_weight"].any()


def test_a_corrupt_image_is_absent():
    broken = CameraImage(STAMP, "camera", encoded=b"\xff\xd8\xff" + bytes(50), format="jpeg")
    inputs = MAKER.make(frame({"camera": broken}))
    check(inputs)
    assert not inputs["available"].any() and not inputs["lift_weight"].any()


@settings(max_examples=40, deadline=None)
@given(
    lidar=st.none() | st.integers(0, 30).flatmap(lambda n: arrays(np.float32, (n, 4), elements=ANY)),
    radar=st.none() | st.integers(0, 30).flatmap(lambda n: arrays(np.float32, (n, 5), elements=ANY)),
    camera=st.none() | st.floats(-0.1, 0.1),
    speed=st.none() | st.floats(-30, 60),
    ambiguity=st.none() | st.floats(1, 100),
)
def test_any_values_and_any_subset_give_finite_arrays(lidar, radar, camera, speed, ambiguity):
    found = {}
    if lidar is not None:
        intensity = np.nan_to_num(lidar[:, 3], nan=0, posinf=1, neginf=0).clip(0, 1)
        times_ns = np.linspace(-5e7, 5e7, len(lidar)).astype(np.int32)
        found["lidar"] = LidarSweep(STAMP, "lidar", lidar[:, :3].copy(), intensity, times_ns)
    if radar is not None:
        columns = radar[:, 3].copy(), radar[:, 4].copy()
        found["radar"] = RadarScan(STAMP, "radar", radar[:, :3].copy(), *columns, "snr", False, ambiguity)
    if camera is not None:
        found["camera"] = image(camera)
    check(MAKER.make(frame(found, speed=speed)))
