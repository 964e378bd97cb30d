"""A world agrees with itself: motion, ground, boxes; and is the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.transforms import inverse
from mm_fusion.simulation.maps import SCENARIOS
from mm_fusion.simulation.world import World, make_world

PLACES = [name for name in SCENARIOS if name != "urban"]
STEP_S = 1e-4


@pytest.fixture(scope="module", params=PLACES)
def world(request: pytest.FixtureRequest) -> World:
    return make_world(request.param, 3, duration_s=8.0)


def apart(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether some side of one of two boxes (x, y, z, l, w, h, yaw) separates them (2 cm may touch)."""
    corners = [
        np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
        * box[3:5]
        / 2
        @ np.array([[np.cos(box[6]), np.sin(box[6])], [-np.sin(box[6]), np.cos(box[6])]])
        + box[:2]
        for box in (a, b)
    ]
    for yaw in (a[6], b[6], a[6] + np.pi / 2, b[6] + np.pi / 2):
        one, other = (corner @ (np.cos(yaw), np.sin(yaw)) for corner in corners)
        if min(one.max(), other.max()) - max(one.min(), other.min()) < 0.02:
            return True
    return False


def test_unknown_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="straight, curve, intersection.*'moon'"):
        make_world("moon", 0)
    with pytest.raises(ConfigurationError, match="clear, fog, rain, night"):
        make_world("parking", 0, weather="hail")
    with pytest.raises(ConfigurationError, match="chain"):
        make_world("parking", 0, duration_s=1e4)


def test_velocity_is_the_derivative_of_position(world: World) -> None:
    for time_s in (0.5, 5.03):
        before, after = (world.actor_poses(time_s + t)[:, :3, 3] for t in (-STEP_S, STEP_S))
        assert np.allclose((after - before) / (2 * STEP_S), world.actor_velocities(time_s), atol=1e-3)
        height = 0.5 * world.sizes[:, 2:3]
        centres = [
            (pose[:, :3, 3] + height * pose[:, :3, 2])
            for pose in (world.actor_poses(time_s - STEP_S), world.actor_poses(time_s + STEP_S))
        ]
        in_base = (centres[1] - centres[0]) / (2 * STEP_S) @ world.world_from_base(time_s)[:3, :3]
        assert np.allclose(in_base[:, :2], world.velocities(time_s), atol=1e-3)
    assert np.hypot(*world.velocities(0.5).T).max() > 1.0


def test_the_twist_is_the_derivative_of_the_pose(world: World) -> None:
    for time_s in (0.2, 4.4):
        pose = world.world_from_base(time_s)
        after = inverse(pose) @ world.world_from_base(time_s + STEP_S)
        before = inverse(pose) @ world.world_from_base(time_s - STEP_S)
        change = (after - before) / (2 * STEP_S)
        linear, angular = world.twist(time_s)
        assert np.allclose(change[:3, 3], linear, atol=1e-4)
        assert np.allclose([change[2, 1], change[0, 2], change[1, 0]], angular, atol=1e-4)
        assert linear[0] > -0.05 and abs(linear[1]) < 0.1, "a rear axle does not slide sideways"


def test_actors_and_the_own_car_stand_on_the_ground(world: World) -> None:
    for time_s in (0.0, 6.0):
        places = np.concatenate([world.actor_poses(time_s), world.world_from_base(time_s)[None]])[:, :3, 3]
        height = world.map.ground.height(places[:, :2])
        # Bodies on four wheels bridge a crown or a kerb; trailers in bends most of all.
        assert np.abs(places[:, 2] - height).max() < 0.13
        assert np.median(np.abs(places[:, 2] - height)) < 0.03


def test_no_two_overlap_at_the_start(world: World) -> None:
    boxes = np.concatenate([world.boxes(0.0), [[1.3, 0, 0.8, 4.1, 1.75, 1.6, 0]]])
    reach = np.hypot(boxes[:, 3], boxes[:, 4]) / 2
    near = np.hypot(*(boxes[:, None, :2] - boxes[None, :, :2]).transpose(2, 0, 1)) < reach[:, None] + reach
    for i, j in zip(*np.nonzero(np.triu(near, 1))):
        assert apart(boxes[i], boxes[j]), (i, j, boxes[i], boxes[j])


def test_boxes_are_where_the_actors_are(world: World) -> None:
    time_s, index = 2.0, 0
    box = world.boxes(time_s)[index]
    pose = inverse(world.world_from_base(time_s)) @ world.actor_pose(index, time_s)
    middle = (pose @ np.array([0, 0, world.actors[index].size[2] / 2, 1]))[:3]
    assert np.allclose(box[:3], middle) and np.allclose(box[3:6], world.actors[index].size)
    assert [actor.track_id for actor in world.actors] == list(range(len(world.actors)))
    assert all(actor.moving == (i < world.moving_count) for i, actor in enumerate(world.actors))


def test_the_same_seed_is_the_same_world_and_another_is_not(world: World) -> None:
    again = make_world(world.scenario, 3, duration_s=8.0)
    assert np.array_equal(again.boxes(3.3), world.boxes(3.3))
    assert np.array_equal(again.map.mesh.vertices, world.map.mesh.vertices)
    parts = [[part.mesh.vertices for part in actor.parts] for actor in again.actors[:5]]
    for ours, theirs in zip(parts, world.actors[:5]):
        assert all(np.array_equal(a, b.mesh.vertices) for a, b in zip(ours, theirs.parts))
    other = make_world(world.scenario, 4, duration_s=8.0)
    assert other.boxes(3.3).shape != world.boxes(3.3).shape or not np.allclose(
        other.boxes(3.3), world.boxes(3.3)
    )


def test_the_own_car_turns_brakes_and_climbs() -> None:
    bent, braking = make_world("curve", 3, duration_s=20.0), make_world("straight", 3, duration_s=20.0)
    yaw_rates = [bent.twist(t)[1][2] for t in np.arange(0, 20, 0.5)]
    assert np.max(np.abs(yaw_rates)) > 0.05
    speeds = np.array([braking.twist(t)[0][0] for t in np.arange(0, 20, 0.25)])
    assert np.diff(speeds).min() < -0.2
    ground = make_world("straight", 1, duration_s=5.0).map.ground
    along = ground.height(np.column_stack([np.linspace(0, 200, 50), np.zeros(50)]))
    across = ground.height(np.array([[50.0, 0.0], [50.0, 5.0], [50.0, 8.0]]))
    assert np.ptp(along) > 0.3 and across[1] != across[0] and across[2] - across[1] > 0.05


def test_all_ten_classes_occur_and_traffic_scales_their_number() -> None:
    from mm_fusion.detections import CLASSES

    seen: set[str] = set()
    for seed in range(6):
        seen |= {actor.class_name for actor in make_world("straight", seed, duration_s=4.0).actors}
    seen |= {actor.class_name for actor in make_world("highway", 3, duration_s=4.0).actors}
    assert seen == set(CLASSES) - {"unknown"}
    few, many = (len(make_world("straight", 5, traffic=share, duration_s=4.0).actors) for share in (0.2, 1.0))
    assert few < 0.5 * many


def test_urban_draws_among_streets() -> None:
    lanes = {len(make_world("urban", seed, duration_s=3.0).map.lanes) for seed in range(5)}
    assert len(lanes) > 1
