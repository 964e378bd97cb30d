"""The node with a network: live as offline to the byte, and another model between two frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")
pytest.importorskip("torch", reason="needs torch to make a model")
pytest.importorskip("onnxruntime", reason="needs onnxruntime to run it")

import rclpy
import torch
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from mm_fusion.config import VehicleConfig
from mm_fusion.network.model import FusionModel
from mm_fusion.nodes.demo_summary import read_counts, read_diagnostics
from mm_fusion.nodes.processes import Child
from mm_fusion.training.export import export_model
from test.network.scene import small_config

from .conftest import FRAMES, PERIOD_NS, START_NS
from .test_end_to_end import PATIENT, clouds, play_through, replay, skipped

pytestmark = pytest.mark.ros
Start = Callable[..., Child]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return export_model(FusionModel(small_config()).eval(), tmp_path_factory.mktemp("model"))


def test_what_is_encoded_early_and_beside_gives_the_bytes_of_doing_it_in_turn(
    start: Start, tiny_bag: Path, vehicle: VehicleConfig, vehicle_file: Path, folder: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "out.mcap", tmp_path / "receipts.mcap"
    parameters = [f"model:={folder}", "backend:=onnxruntime", f"record_receipts:={log}"]
    node = play_through(start, tiny_bag, vehicle_file, out, *parameters)
    assert node.stop() == 0
    live = clouds(out)
    alone, made = replay(log, vehicle, live, str(folder))
    assert set(live) == set(alone)
    drops, stages = read_diagnostics(out)
    assert len(live) + skipped(drops) == len(made) >= FRAMES - 1
    for stamp_ns, found in live.items():
        for name, array in found.arrays().items():
            assert array.tobytes() == getattr(alone[stamp_ns], name).tobytes(), f"{stamp_ns} {name}"
    assert sum(map(len, live.values())) > 0
    assert {"decode", "camera_encoder", "rasters", "raster_encoders", "lift", "fusion"} <= set(stages)
    said = read_counts(out)
    assert (said["detector"], said["backend"]) == (str(folder), "onnxruntime")


@pytest.fixture
def caller(domain: dict[str, str]) -> Iterator[Callable[[str, str], bool]]:
    """Sets a parameter of the fusion node from outside; whether it was taken."""
    context = Context()
    rclpy.init(context=context, domain_id=int(domain["ROS_DOMAIN_ID"]))
    node = Node("caller", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    client = node.create_client(SetParameters, "/fusion/set_parameters")

    def set_parameter(name: str, value: str) -> bool:
        assert client.wait_for_service(20.0)
        message: ParameterMessage = Parameter(name, value=value).to_parameter_msg()
        future = client.call_async(SetParameters.Request(parameters=[message]))
        executor.spin_until_future_complete(future, 20.0)
        return future.result().results[0].successful

    yield set_parameter
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_models_are_swapped_while_frames_come_and_no_frame_is_lost(
    start: Start,
    caller: Callable[[str, str], bool],
    tiny_bag: Path,
    vehicle_file: Path,
    folder: Path,
    tmp_path: Path,
) -> None:
    node = start(
        "fusion_node",
        "--ros-args",
        "-p",
        f"vehicle:={vehicle_file}",
        "-p",
        "use_sim_time:=true",
        "-p",
        PATIENT,
    )
    out = tmp_path / "out.mcap"
    recorder = start("recorder_node", "--out", out, "--topics", "/fusion/detections_cloud", "/diagnostics")
    node.wait_for("[fusion]: active", 120.0)
    recorder.wait_for("[recorder]: listening", 120.0)
    player = start("player_node", tiny_bag, "--wait-for", "20", "--rate", "0.25")
    player.wait_for("listeners", 60.0)
    swap = threading.Thread(target=lambda: caller("model", str(folder)))
    swap.start()
    node.wait_for(f"from now on {folder}", 30.0)
    swap.join()
    assert caller("model", "no_such_model")
    node.wait_for(f"model no_such_model is not used, {folder} goes on", 30.0)
    assert player.wait(90.0) == 0
    time.sleep(1.5)
    node.check()
    assert recorder.stop() == 0
    expected = {START_NS + number * PERIOD_NS for number in range(1, FRAMES)}
    assert len(expected - set(clouds(out))) <= skipped(read_diagnostics(out)[0])
    assert read_counts(out)["detector"] == str(folder)
