"""Rays meet what is there, with the colour, owner and velocity that it has."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("open3d", reason="scenes are seen by Open3D's ray casting")

from mm_fusion.geometry.boxes import points_in_boxes
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, transform_points
from mm_fusion.measurements import CameraModel
from mm_fusion.simulation.scene import Scene
from mm_fusion.simulation.visibility import seen_by_camera, seen_from
from mm_fusion.simulation.world import World, make_world

TIME_S = 3.0


@pytest.fixture(scope="module")
def world() -> World:
    return make_world("straight", 3, duration_s=6.0)


@pytest.fixture(scope="module")
def scene(world: World) -> Scene:
    return Scene(world, TIME_S)


def around(count: int = 40_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    azimuth, elevation = rng.uniform(-np.pi, np.pi, count), rng.uniform(-0.25, 0.1, count)
    level = np.cos(elevation)
    return np.column_stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])


def eye_of(world: World) -> np.ndarray:
    return (world.world_from_base(TIME_S) @ [1.0, 0, 1.9, 1])[:3]


def test_no_rays_no_hits(scene: Scene) -> None:
    hits = scene.cast(np.zeros(3), np.zeros((0, 3)))
    assert len(hits.distance) == 0 and hits.velocity.shape == (0, 3) and hits.colour.shape == (0, 3)


def test_a_ray_to_the_sky_meets_nothing(scene: Scene, world: World) -> None:
    hits = scene.cast(eye_of(world) + [0, 0, 60], np.array([[0, 0, 1.0]]))
    assert np.isinf(hits.distance[0]) and hits.actor[0] == -1 and hits.rcs[0] == 0
    assert np.all(hits.velocity == 0) and np.isfinite(hits.point).all()


def test_the_surface_under_rays_is_the_ground(scene: Scene, world: World) -> None:
    ground = world.map.ground
    rng = np.random.default_rng(1)
    s = rng.uniform(20, 150, 200)
    xy = np.column_stack([s, rng.uniform(-1.5, 1.5, 200)])
    hits = scene.cast(np.column_stack([xy, np.full(200, 80.0)]), np.tile([0, 0, -1.0], (200, 1)))
    road = hits.actor == -1
    assert road.sum() > 100
    assert np.abs(hits.world_point[road, 2] - ground.height(xy[road])).max() < 0.03


def test_hits_of_actors_lie_in_their_boxes(scene: Scene, world: World) -> None:
    hits = scene.cast(eye_of(world), around())
    on = hits.actor >= 0
    assert on.sum() > 1000
    boxes = world.boxes(TIME_S)
    boxes[:, 3:6] += 0.3  # boxes have no pitch and roll
    in_base = transform_points(
        inverse(world.world_from_base(TIME_S)), hits.world_point[on].astype(np.float64)
    )
    owner = points_in_boxes(in_base.astype(np.float32), boxes)
    assert np.mean(owner == hits.actor[on]) > 0.97


def test_velocity_is_that_of_the_surface_wheels_and_limbs_included(scene: Scene, world: World) -> None:
    hits = scene.cast(eye_of(world), around())
    step = 1e-3
    before, after = (world.geometry.placed(world, TIME_S + t) for t in (-step, step))
    row = world.geometry.row[hits._triangle]
    moving = np.flatnonzero((row > 0) & np.isfinite(hits.distance))
    assert len(moving) > 300
    local = hits.point[moving].astype(np.float64)
    places = [np.einsum("nij,nj->ni", p[0][row[moving]], local) + p[1][row[moving]] for p in (before, after)]
    assert np.allclose((places[1] - places[0]) / (2 * step), hits.velocity[moving], atol=0.02)
    assert np.all(hits.velocity[np.setdiff1d(np.arange(len(row)), moving)] == 0)


def test_a_wheel_stands_where_it_touches_the_ground(world: World) -> None:
    geometry = world.geometry
    rotation, origin, velocity, whirl = geometry.placed(world, TIME_S)
    wheels = 1 + np.flatnonzero(geometry.turning[:, 0] > 0)
    down = -geometry.turning[wheels - 1, :1] * [[0, 0, 1.0]]
    foot = velocity[wheels] + np.cross(whirl[wheels], down)
    speed = np.linalg.norm(velocity[wheels], axis=1)
    assert speed.max() > 3
    # What is left is the hub's own way over slopes and its body's turning.
    assert np.linalg.norm(foot, axis=1).max() < 0.08 * speed.max() + 0.1


def test_normals_face_the_eye_and_nothing_is_seen_through(scene: Scene, world: World) -> None:
    rays = around(2_000)
    hits = scene.cast(eye_of(world), rays)
    there = np.isfinite(hits.distance)
    assert ((hits.normal[there] * rays[there]).sum(1) <= 1e-6).all()
    assert np.allclose(np.linalg.norm(hits.normal[there], axis=1), 1, atol=1e-3)
    assert np.array_equal(scene.blocked(eye_of(world), rays), there)
    reach = 10.0
    assert np.array_equal(scene.blocked(eye_of(world), rays, reach), hits.distance < reach)


def test_texture_coordinates_move_with_a_part(world: World) -> None:
    index = next(i for i in range(world.moving_count) if world.actors[i].class_name == "car")
    points = []
    for time_s in (1.0, 1.4):
        scene = Scene(world, time_s, reach=1e4)
        pose = world.actor_pose(index, time_s)
        eye = (pose @ [0.1, 0.05, 9.0, 1])[:3]
        hits = scene.cast(eye, -pose[:3, 2][None])
        assert hits.actor[0] == index
        points.append(hits.point[0])
    assert np.allclose(points[0], points[1], atol=2e-3)


def test_far_actors_are_left_out(world: World) -> None:
    near = Scene(world, TIME_S, reach=20.0)
    distance = np.linalg.norm(
        world.actor_poses(TIME_S)[:, :3, 3] - world.world_from_base(TIME_S)[:3, 3], axis=1
    )
    seen = set(near.cast(eye_of(world), around()).actor.tolist()) - {-1}
    moving = [i for i in seen if world.actors[i].moving]
    assert moving and all(distance[i] < 20.0 for i in moving)


def test_a_free_actor_is_seen_and_a_hidden_one_is_not(scene: Scene, world: World) -> None:
    boxes = world.boxes(TIME_S)
    index = int(np.argmin(np.hypot(boxes[:, 0] - 8, boxes[:, 1]) + 100 * (boxes[:, 0] < 4)))
    pose = world.actor_pose(index, TIME_S)
    above = seen_from(scene, (pose @ [0.0, 0, 12.0, 1])[:3])
    assert above.visible[index] > 0.2 and above.inside[index] == 1
    below = seen_from(scene, (pose @ [0.0, 0, -3.0, 1])[:3])
    assert below.visible[index] == 0 and below.occlusion()[index] == 3
    assert np.all(seen_from(scene, eye_of(world) + [0, 0, 5000.0]).inside == 0)


def test_a_camera_sees_only_what_is_in_its_image(scene: Scene, world: World) -> None:
    model = CameraModel(
        np.array([[300.0, 0, 320], [0, 300, 180], [0, 0, 1]]), np.zeros(5), "plumb_bob", 640, 360
    )
    world_from_camera = world.world_from_base(TIME_S) @ from_rpy_deg((-90, 0, -90), (1.5, 0, 1.5))
    seen = seen_by_camera(scene, world_from_camera, model)
    boxes = world.boxes(TIME_S)
    behind = boxes[:, 0] < -8
    assert (seen.inside[behind] == 0).all() and (seen.occlusion()[behind] == 3).all()
    assert ((seen.inside > 0) & (seen.visible > 0.3)).sum() > 2
    assert ((seen.visible >= 0) & (seen.visible <= 1)).all()


def test_lamps_of_the_own_car_come_first_and_shine_ahead(world: World) -> None:
    lamps = world.lights(TIME_S)
    assert (lamps.actor[:4] == -1).all() and len(lamps.power) % 4 == 0
    ahead = world.world_from_base(TIME_S)[:3, 0]
    heads = lamps.power > 100
    assert heads.sum() == len(heads) / 2 and (lamps.direction[:4][heads[:4]] @ ahead > 0.9).all()
