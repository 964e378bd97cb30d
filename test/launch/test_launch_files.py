from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))


def executables_of_setup() -> set[str]:
    """Names before the `=` of every console script in setup.py."""
    texts = [
        n.value for n in ast.walk(ast.parse((ROOT / "setup.py").read_text())) if isinstance(n, ast.Constant)
    ]
    return {text.split(" = ")[0] for text in texts if isinstance(text, str) and " = mm_fusion." in text}


def nodes_of(path: Path) -> list[dict[str, object]]:
    """The keyword arguments with constant values of each `Node(...)` call."""
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    found = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Node"]
    return [
        {k.arg: k.value.value for k in c.keywords if k.arg and isinstance(k.value, ast.Constant)}
        for c in found
    ]


def arguments_of(path: Path) -> dict[str, tuple[str | None, str]]:
    """`ARGUMENTS` of a launch file: default and description by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ARGUMENTS"
    )
    arguments: dict[str, tuple[str | None, str]] = ast.literal_eval(found)
    return arguments


def test_there_are_launch_files() -> None:
    assert {path.name for path in LAUNCH_FILES} >= {"fusion.launch.py", "replay.launch.py"}


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_launch_file_compiles_and_starts_what_setup_installs(path: Path) -> None:
    compile(path.read_text(encoding="utf-8"), str(path), "exec")
    ours = [node["executable"] for node in nodes_of(path) if node["package"] == "mm_fusion"]
    assert ours and set(ours) <= executables_of_setup()


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_launch_description_is_made_by_the_real_launch(path: Path) -> None:
    pytest.importorskip("launch.actions", reason="launch has no wheel: needs a ROS installation")
    pytest.importorskip("launch_ros", reason="launch_ros has no wheel: needs a ROS installation")
    spec = importlib.util.spec_from_file_location(path.stem.replace(".", "_"), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.generate_launch_description().entities


def test_rviz_shows_image_cloud_radar_and_detections_at_once() -> None:
    tree = yaml.safe_load((ROOT / "config" / "rviz" / "fusion.rviz").read_text(encoding="utf-8"))
    displays = tree["Visualization Manager"]["Displays"]
    enabled = {display["Name"]: display["Class"] for display in displays if display["Enabled"]}
    assert enabled.items() >= {
        ("Camera", "rviz_default_plugins/Image"),
        ("LiDAR", "rviz_default_plugins/PointCloud2"),
        ("Radar", "rviz_default_plugins/PointCloud2"),
        ("Detections", "rviz_default_plugins/MarkerArray"),
    }


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_detector_and_backend_can_be_chosen_everywhere(path: Path) -> None:
    assert {"vehicle", "model", "backend", "params"} <= arguments_of(path).keys()


@pytest.mark.parametrize("name", ["fusion", "replay"])
def test_no_car_is_taken_for_another(name: str) -> None:
    # launch asks for what has no default
    assert arguments_of(ROOT / "launch" / f"{name}.launch.py")["vehicle"][0] is None
