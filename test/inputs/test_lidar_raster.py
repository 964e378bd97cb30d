from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.config import EgoBox
from mm_fusion.geometry.motion import deskew
from mm_fusion.geometry.transforms import from_rpy_deg, transform_points
from mm_fusion.inputs.lidar_raster import FULL_DENSITY, LidarRaster
from mm_fusion.inputs.sweep_motion import motion_series
from mm_fusion.measurements import EgoMotion, LidarSweep
from test.inputs.scene import PLACES, STAMP, cell_of, config, frame, sweep

NAMES = config().lidar.channel_names


def column(raster: np.ndarray, x: float, y: float) -> dict[str, float]:
    """The channels by name of the cell at a place."""
    return dict(zip(NAMES, raster[(slice(None), *cell_of(x, y))].tolist()))


def test_the_channels_are_these():
    assert NAMES == (
        "density_0", "density_1", "intensity_0", "intensity_1",
        "lowest", "highest", "mean_height", "height_spread", "age",
    )  # fmt: skip


def test_no_lidar_and_no_points_give_zeros():
    raster = LidarRaster(config())
    for each in (frame({}), frame({"lidar": sweep(np.zeros((0, 3)))})):
        out = raster.build(each)
        assert out.shape == (9, 32, 32) and out.dtype == np.float32 and not out.any()


def test_points_in_a_known_cell():
    points = [[10.2, 3.4, 0.25], [10.8, 3.9, 0.75], [10.5, 3.5, 1.5]]
    out = LidarRaster(config()).build(frame({"lidar": sweep(points, intensity=0.25)}))
    assert np.argwhere(out.any(axis=0)).tolist() == [list(cell_of(10.5, 3.5))]
    cell = column(out, 10.5, 3.5)
    assert cell["density_0"] == pytest.approx(np.log(3) / np.log(FULL_DENSITY), rel=1e-5)
    assert cell["density_1"] == pytest.approx(np.log(2) / np.log(FULL_DENSITY), rel=1e-5)
    assert cell["intensity_0"] == cell["intensity_1"] == 0.25
    assert cell["lowest"] == pytest.approx(0.25, abs=1e-5) and cell["highest"] == pytest.approx(1.5, abs=1e-5)
    assert cell["mean_height"] == pytest.approx(2.5 / 3, abs=1e-5)
    assert cell["height_spread"] == pytest.approx(np.std([0.25, 0.75, 1.5]), abs=1e-4)
    assert cell["age"] == 0


def test_what_is_off_the_grid_the_slices_or_no_number_is_left():
    off = [
        [-4.1, 0, 0.5],
        [28.1, 0, 0.5],
        [5, 16.1, 0.5],
        [5, 0, -0.1],
        [5, 0, 2.1],
        [np.nan, 0, 0.5],
        [5, np.inf, 1],
    ]
    assert not LidarRaster(config()).build(frame({"lidar": sweep(off)})).any()


def test_a_second_frame_knows_nothing_of_the_first():
    raster = LidarRaster(config())
    raster.build(frame({"lidar": sweep([[10.5, 3.5, 0.5]] * 7)}))
    again = raster.build(frame({"lidar": sweep([[10.5, 3.5, 1.5]])}))
    assert np.array_equal(again, LidarRaster(config()).build(frame({"lidar": sweep([[10.5, 3.5, 1.5]])})))


def test_a_finer_raster_has_cells_of_half_the_size():
    out = LidarRaster(config(lidar={"slice_edges": [0, 1, 2], "scale": 2})).build(
        frame({"lidar": sweep([[10.6, 3.4, 0.5]])})
    )
    assert out.shape == (9, 64, 64) and np.argwhere(out[0]).tolist() == [[29, 38]]


def test_the_car_itself_is_left_out():
    box = EgoBox(min=(-1, -1, 0), max=(3, 1, 2))
    points = [[2.5, 0.5, 1.0], [3.5, 0.5, 1.0]]
    out = LidarRaster(config(), box).build(frame({"lidar": sweep(points)}))
    assert not out[:, cell_of(2.5, 0.5)[0]].any() and column(out, 3.5, 0.5)["density_1"] > 0


def test_each_point_moves_by_its_own_time():
    # at 10 m/s what was 20.5 m ahead 0.1 s ago is 19.5 m ahead now
    raster = LidarRaster(config())
    out = raster.build(frame({"lidar": sweep([[20.5, 0.5, 0.5]], offset_s=-0.1)}, speed=10.0))
    assert column(out, 19.5, 0.5)["density_0"] > 0 and column(out, 19.5, 0.5)["age"] == pytest.approx(1.0)
    still = raster.build(frame({"lidar": sweep([[20.5, 0.5, 0.5]], offset_s=-0.1)}, speed=None))
    assert column(still, 20.5, 0.5)["density_0"] > 0


def test_earlier_sweeps_lie_where_the_world_is_now():
    older = sweep([[20.5, 0.5, 0.5]], stamp=STAMP - 300_000_000)
    given = {"measurements": {"lidar": sweep([[5.5, 0.5, 0.5]])}, "earlier": {"lidar": (older,)}}
    two = config(lidar={"slice_edges": [0, 1, 2], "sweeps": 1})
    moved = LidarRaster(two).build(frame(**given, speed=10.0))
    assert column(moved, 17.5, 0.5)["age"] == pytest.approx(3.0, abs=1e-4)
    assert (moved[0] > 0).sum() == 2
    # unknown ego motion, or a model without sweeps: the newest alone
    for each, speed in ((two, None), (config(), 10.0)):
        assert (LidarRaster(each).build(frame(**given, speed=speed))[0] > 0).sum() == 1


def test_the_scene_turns():
    turned = LidarRaster(config()).build(
        frame({"lidar": sweep([[10.5, 3.5, 0.5]])}), from_rpy_deg((0, 0, 90))
    )
    assert np.argwhere(turned[0]).tolist() == [list(cell_of(-3.5, 10.5))]
    flipped = LidarRaster(config()).build(
        frame({"lidar": sweep([[10.5, 3.5, 0.5]])}), np.diag([1.0, -1, 1, 1])
    )
    assert np.argwhere(flipped[0]).tolist() == [list(cell_of(10.5, -3.5))]


def test_the_series_agrees_with_deskew():
    rng = np.random.default_rng(1)
    xyz = rng.uniform(-40, 40, (500, 3)).astype(np.float32)
    times_ns = rng.integers(-50_000_000, 50_000_000, 500).astype(np.int32)
    ego = EgoMotion(STAMP, np.array([20.0, 1, 0]), np.array([0.05, 0.1, 0.6]))
    place = from_rpy_deg((3, 2, 100), (1, 2, 1.8))
    a, b, c = motion_series(ego, np.eye(4), place)
    rows, t = np.column_stack([xyz, np.ones(500)]), times_ns[:, None] * 1e-9
    ours = rows @ a.T + t * (rows @ b.T) + t**2 * (rows @ c.T)
    assert np.abs(ours - deskew(transform_points(place, xyz), times_ns, ego)).max() < 2e-3


def test_an_uncalibrated_lidar_is_absent():
    lost = frame({"lidar": sweep([[10.5, 3.5, 0.5]])})
    places = {name: place for name, place in PLACES.items() if name != "lidar"}
    lost = frame(lost.measurements, calibration=type(lost.calibration)(places, {}))
    assert not LidarRaster(config()).build(lost).any()


def test_any_order_of_points_gives_the_same():
    rng = np.random.default_rng(4)
    points = rng.uniform((-10, -20, -1), (30, 20, 3), (3000, 3))
    one = LidarRaster(config()).build(frame({"lidar": sweep(points)}))
    other = LidarRaster(config()).build(frame({"lidar": sweep(rng.permutation(points))}))
    assert np.allclose(one, other, atol=1e-4) and isinstance(sweep(points), LidarSweep)


@pytest.mark.parametrize("count", [1, 300, 20_000])
def test_every_cell_is_what_its_points_say(count):
    # counted one cell after the other; of 20,000 points some cells hold more than are looked up
    rng = np.random.default_rng(count)
    points = rng.normal((8, 0, 1), (6, 6, 0.6), (count, 3))
    box = EgoBox(min=(-1, -1, -1), max=(3, 1, 3))
    older = sweep(points + 0.3, intensity=0.1, stamp=STAMP - 50_000_000)
    given = frame({"lidar": sweep(points, intensity=0.4)}, earlier={"lidar": (older,)})
    out = LidarRaster(config(lidar={"slice_edges": [0, 1, 2], "sweeps": 1}), box).build(given)
    xyz = np.vstack([points, points + 0.3])
    tag = np.repeat([[0.4, 0.0], [0.1, 0.5]], count, axis=0)
    keep = ~((xyz >= box.min) & (xyz <= box.max)).all(axis=1)
    keep &= (xyz >= (-4, -16, 0)).all(axis=1) & (xyz < (28, 16, 2)).all(axis=1)
    xyz, tag = xyz[keep], tag[keep]
    cells = np.floor(xyz[:, :2]).astype(int) + (4, 16)
    assert np.array_equal(out[:2].any(axis=0), counted(cells) > 0)
    for x, y in np.unique(cells, axis=0):
        here = (cells == (x, y)).all(axis=1)
        z, (strength, age) = xyz[here, 2], tag[here].T
        wanted = {"lowest": z.min(), "highest": z.max(), "mean_height": z.mean(), "height_spread": z.std()}
        wanted |= {"age": age.mean()}
        for number, inside in enumerate((z < 1, z >= 1)):
            wanted[f"density_{number}"] = np.log(1 + inside.sum()) / np.log(FULL_DENSITY)
            wanted[f"intensity_{number}"] = strength[inside].mean() if inside.any() else 0
        assert dict(zip(NAMES, out[:, x, y].tolist())) == pytest.approx(wanted, abs=2e-3)


def counted(cells: np.ndarray) -> np.ndarray:
    """Points in each cell (32, 32)."""
    return np.bincount(cells[:, 0] * 32 + cells[:, 1], minlength=1024).reshape(32, 32)
