"""What the package says about itself, and what pip and colcon make of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest

import mm_fusion

ROOT = Path(__file__).resolve().parent.parent
DEFINITIONS = ROOT / "mm_fusion" / "messages" / "definitions"
COMMANDS = ("mm-fusion", "fusion_node", "player_node", "recorder_node")


@pytest.fixture(scope="module")
def built_wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of a copy of the source tree: a build must leave nothing in the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = copy_of_source(folder / "source")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    result = subprocess.run(
        [*command, "-w", str(folder), str(tree)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def copy_of_source(target: Path) -> Path:
    """Copy of what the package is built from."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("mm_fusion", "config", "launch", "resource"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=ignore)
    for name in ("setup.py", "setup.cfg", "package.xml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    return target


def test_one_version() -> None:
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    stated = re.search(r'^VERSION = "(.+)"$', (ROOT / "setup.py").read_text(), re.M)
    assert stated is not None
    assert manifest.findtext("version") == stated.group(1) == mm_fusion.__version__


def test_manifest_is_valid() -> None:
    package = pytest.importorskip("catkin_pkg.package")
    manifest = package.parse_package(str(ROOT / "package.xml"))
    manifest.validate()
    assert manifest.get_build_type() == "ament_python"


def test_message_definitions_are_there() -> None:
    names = {path.relative_to(DEFINITIONS).as_posix() for path in DEFINITIONS.rglob("*.msg")}
    assert len(names) == 40
    assert {
        "vision_msgs/msg/Detection3DArray.msg",
        "radar_msgs/msg/RadarScan.msg",
        "autoware_perception_msgs/msg/DetectedObjects.msg",
        "tf2_msgs/msg/TFMessage.msg",
    } <= names


def test_wheel_holds_code_data_and_commands(built_wheel: zipfile.ZipFile) -> None:
    names = built_wheel.namelist()
    assert "mm_fusion/geometry/transforms.py" in names
    assert sum(name.endswith(".msg") for name in names) == 40
    data = {name.split(".data/data/", 1)[1] for name in names if ".data/data/" in name}
    assert {"share/mm_fusion/package.xml", "share/ament_index/resource_index/packages/mm_fusion"} <= data
    for folder in ("config", "launch"):
        wanted = {
            f"share/mm_fusion/{path.relative_to(ROOT).as_posix()}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert wanted <= data
    assert not [
        name for name in names if name.split("/")[0] in ("test", "tools", "rosbags", "launch", "config")
    ]
    points = next(name for name in names if name.endswith("entry_points.txt"))
    text = built_wheel.read(points).decode()
    assert all(f"{command} = mm_fusion." in text for command in COMMANDS)
    assert not [name for name in names if ".data/data/lib" in name or ".data/scripts" in name]


def test_commands_lie_beside_the_interpreter() -> None:
    """`setup.cfg` names ament's folder for executables; pip must not follow it."""
    folder = Path(sys.executable).parent
    if not (folder / "mm-fusion").exists():
        pytest.skip("mm_fusion is not installed into this environment")
    assert [command for command in COMMANDS if not (folder / command).exists()] == []


@pytest.mark.parametrize("options", [[], ["--symlink-install"]], ids=["copied", "linked"])
def test_colcon_installs_what_ros2_run_and_launch_look_for(tmp_path: Path, options: list[str]) -> None:
    colcon = shutil.which("colcon", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if colcon is None:
        pytest.skip("colcon is not installed")
    copy_of_source(tmp_path / "src" / "mm_fusion")
    variables = {**os.environ, "COLCON_HOME": str(tmp_path / "colcon")}
    command = [colcon, "build", *options]
    result = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    prefix = tmp_path / "install" / "mm_fusion"
    assert (prefix / "share" / "mm_fusion" / "package.xml").exists()
    assert (prefix / "share" / "ament_index" / "resource_index" / "packages" / "mm_fusion").exists()
    for folder in ("config", "launch"):
        files = [path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.[xy]*ml")]
        assert [str(file) for file in files if not (prefix / "share" / "mm_fusion" / file).exists()] == []
    assert [name for name in COMMANDS if not (prefix / "lib" / "mm_fusion" / name).exists()] == []
