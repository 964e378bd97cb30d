"""The small street agrees with itself: what sensors measure lies on what is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d", reason="the street is seen by Open3D's ray casting")

from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import read_truth
from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.boxes import points_in_boxes
from mm_fusion.geometry.motion import deskew, ground_radial_velocity
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, transform_points
from mm_fusion.measurements import EgoMotion
from mm_fusion.simulation.recording import write_street_bag
from mm_fusion.simulation.sensors import scan_lidar, scan_radar, truth_boxes
from mm_fusion.simulation.street import Street, make_street

TIME_S = 1.0


@pytest.fixture(scope="module")
def street() -> Street:
    return make_street(7)


def ego_of(street: Street) -> EgoMotion:
    return EgoMotion(0, street.linear, street.angular)


def test_deskewed_lidar_points_of_actors_lie_in_their_boxes(street: Street) -> None:
    base_from_lidar = from_rpy_deg((0, 0, -90), (0.9, 0, 1.8))
    rng = np.random.default_rng(0)
    xyz, _, times, ring, actor = scan_lidar(street, base_from_lidar, "hdl32", 360, TIME_S, 0.1, rng)
    xyz_base = transform_points(base_from_lidar, xyz).astype(np.float32)
    there = deskew(xyz_base, np.round(times * 1e9).astype(np.int64), ego_of(street))
    boxes, _ = truth_boxes(street, TIME_S)
    boxes[:, 3:6] += 0.6  # others move up to 0.55 m in half a turn, which deskewing does not know
    owner = points_in_boxes(there, boxes)
    on_actor = actor >= 0
    assert on_actor.sum() > 100
    assert np.mean(owner[on_actor] == actor[on_actor]) > 0.97
    assert set(np.unique(ring)) <= set(range(32))


def test_standing_returns_have_no_velocity_over_ground(street: Street) -> None:
    base_from_radar = from_rpy_deg((0, 0, 40), (3.4, 0.5, 0.5))
    scan, actor = scan_radar(street, base_from_radar, TIME_S, 0, "radar", np.random.default_rng(0))
    ground = ground_radial_velocity(scan.xyz, scan.radial_velocity, base_from_radar, ego_of(street), None)
    assert (actor < 0).sum() > 20
    assert abs(float(np.mean(ground[actor < 0]))) < 0.05
    assert float(np.std(ground[actor < 0])) < 0.2


def test_true_velocity_is_the_derivative_of_position(street: Street) -> None:
    step_s = 1e-4
    for actor, velocity in zip(street.actors, truth_boxes(street, TIME_S)[1]):
        moved = actor.pose(TIME_S + step_s)[:3, 3] - actor.pose(TIME_S)[:3, 3]
        in_base = inverse(street.world_from_base(TIME_S))[:3, :3] @ moved / step_s
        assert np.allclose(in_base[:2], velocity, atol=1e-5)


def test_the_same_seed_gives_the_same_messages(tmp_path: Path) -> None:
    vehicle = load_vehicle("minimal")
    for name in ("a", "b"):
        write_street_bag(tmp_path / name, vehicle, seconds=0.5)
    with open_bag(tmp_path / "a") as first, open_bag(tmp_path / "b") as second:
        assert set(first.topics) == set(second.topics)
        pairs = list(zip(first.raw_messages(), second.raw_messages()))
    assert len(pairs) > 20
    assert all(bytes(a.data) == bytes(b.data) for a, b in pairs)
    assert {frame.frame_id for frame in read_truth(tmp_path / "a")} == {"base_link"}


def test_a_sensor_without_a_place_is_named(tmp_path: Path) -> None:
    tree = load_vehicle("minimal").model_dump(exclude_none=True)
    name = next(iter(tree["sensors"]))
    del tree["sensors"][name]["mount"]
    with pytest.raises(ConfigurationError, match=rf"sensors\.{name}: mount is missing"):
        write_street_bag(tmp_path / "bag", VehicleConfig.model_validate(tree), seconds=0.3)
    assert not (tmp_path / "bag").exists()
