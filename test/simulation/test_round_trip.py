"""What is read out of a simulated recording is what was put in: calibration, speed, Doppler, real faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d", reason="drives are made by Open3D's ray casting")

from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.frame import decoded
from mm_fusion.geometry.motion import wrap_velocity
from mm_fusion.geometry.radar_ego import RadarReturns, estimate_doppler_properties, estimate_ego_motion
from mm_fusion.geometry.transforms import inverse
from mm_fusion.measurements import RadarScan
from mm_fusion.simulation.bag import write_bag
from mm_fusion.simulation.faults import Fault, FaultPlan
from mm_fusion.simulation.rig import RigOptions
from mm_fusion.simulation.simulator import START_NS, Simulator

SECONDS = 2.0


def only(vehicle: VehicleConfig, *kinds: str) -> VehicleConfig:
    sensors = {name: sensor for name, sensor in vehicle.sensors.items() if sensor.kind in kinds}
    alignment = vehicle.alignment.model_copy(update={"reference": list(sensors)[:1]})
    return vehicle.model_copy(update={"sensors": sensors, "alignment": alignment})


@pytest.fixture(scope="module")
def radars() -> Simulator:
    return Simulator(only(load_vehicle("nuscenes_like"), "radar"), "straight", seed=4)


@pytest.fixture(scope="module")
def radar_bag(radars: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("round") / "bag"
    write_bag(path, radars, SECONDS)
    return path


def scans_of(bag: Path, vehicle: VehicleConfig) -> list[tuple[str, RadarScan]]:
    with open_bag(bag) as reader:
        items = [(name, item) for name, item, _ in bag_items(reader, vehicle) if name in vehicle.sensors]
    return [(name, decoded(item)) for name, item in items]


def test_speed_and_sign_come_back_from_doppler(radars: Simulator, radar_bag: Path) -> None:
    speeds, residuals, scans = [], [], []
    for name, scan in scans_of(radar_bag, radars.vehicle):
        place = radars.rig.mounts[name]
        rays = scan.xyz @ place[:3, :3].T / np.linalg.norm(scan.xyz, axis=1, keepdims=True)
        returns = RadarReturns(rays, place[:3, 3], scan.radial_velocity, scan.ambiguity_mps)
        scans.append(returns)
        true, turn = radars.world.twist((scan.stamp_ns - START_NS) / 1e9)
        over_ground = scan.radial_velocity + rays @ (true + np.cross(turn, place[:3, 3]))
        standing = np.abs(wrap_velocity(over_ground, scan.ambiguity_mps)) < 0.6
        residuals.append(over_ground[standing])
        estimate = estimate_ego_motion([returns])
        if estimate is not None:
            speeds.append(estimate.linear[0] - true[0])
    assert len(speeds) > 100 and abs(np.median(speeds)) < 0.1
    assert abs(np.mean(np.concatenate(residuals))) < 0.03, "static returns have no velocity over ground"
    assert estimate_doppler_properties(scans[:10]).sign == 1


def test_published_calibration_is_that_of_the_vehicle_file(radars: Simulator, radar_bag: Path) -> None:
    with open_bag(radar_bag) as reader:
        message = next(iter(reader.messages({"/tf_static"}))).message
    for edge in message.transforms:
        mount = radars.rig.mounts[edge.child_frame_id]
        where = edge.transform.translation
        assert [where.x, where.y, where.z] == pytest.approx(mount[:3, 3].tolist())
        assert edge.header.frame_id == "base_link"


def test_a_turned_lidar_sees_the_world_turned_while_its_calibration_stays(tmp_path: Path) -> None:
    vehicle = only(load_vehicle("minimal"), "lidar")
    fault = FaultPlan(faults=[Fault(fault="rotation", sensor="lidar", start_s=0.0, severity=3)])
    options = RigOptions(lidar_step=2)
    clouds = []
    for name, plan in (("healthy", None), ("turned", fault)):
        simulator = Simulator(vehicle, "straight", seed=4, faults=plan, options=options)
        write_bag(tmp_path / name, simulator, 0.6)
        clouds.append([scan.xyz for _, scan in scans_of(tmp_path / name, vehicle)][0])
    delivery_error = _mount_error(Simulator(vehicle, "straight", seed=4, faults=fault))
    turned_back = clouds[1] @ delivery_error[:3, :3].T
    assert _distance(clouds[0], turned_back) < 0.5 * _distance(clouds[0], clouds[1])


def _mount_error(simulator: Simulator) -> np.ndarray:
    from mm_fusion.simulation.clocks import tick_at
    from mm_fusion.simulation.faults import deliver

    clock = simulator.clocks["lidar"]
    found = deliver(tick_at("lidar", clock, 0, 4), clock, simulator.faults["lidar"], 4).mount_error
    assert found is not None and np.allclose(found @ inverse(found), np.eye(4))
    return found


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.spatial import cKDTree

    return float(np.median(cKDTree(other).query(one)[0]))


def test_memory_stays_flat_within_a_drive() -> None:
    """Measurements under way are all that a drive holds."""
    import tracemalloc

    simulator = Simulator(only(load_vehicle("astyx_like"), "radar"), "straight", seed=4)
    events = simulator.events(20.0)
    tracemalloc.start()
    sizes = []
    for number, _ in zip(range(600), events):
        if number % 200 == 199:
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[-1] - sizes[0] < 3e6, f"grew: {sizes}"
