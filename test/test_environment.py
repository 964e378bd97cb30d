"""Decisions of the tools that make the environment; nothing is installed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A tool's answer in a shell without ROS and with only the given variables beside the plain ones."""
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp")}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**plain, **variables}
    )


def plan(profile: str, **variables: str) -> dict[str, object]:
    """What would be installed, by the interpreter that runs the tests (outside its environment)."""
    interpreter = os.path.realpath(sys.executable)
    result = run(
        interpreter, str(TOOLS / "environment.py"), profile, "--plan", "--torch", "torch==2.0", **variables
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def sourced(tmp_path: Path) -> dict[str, str]:
    """Variables of a shell with a ROS 2 installation sourced: rclpy and an older NumPy on the path."""
    (tmp_path / "rclpy").mkdir()
    (tmp_path / "rclpy" / "__init__.py").touch()
    for name, version in (("numpy", "1.26.4"), ("pydantic", "1.10.14")):
        metadata = tmp_path / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return {"PYTHONPATH": str(tmp_path), "ROS_DISTRO": "jazzy"}


def test_without_ros_the_wheels_are_installed() -> None:
    made = plan("run")
    assert made["distribution"] is None
    assert "ros-rclpy[fastrtps]==9.1.2" in made["requirements"]
    assert "-e .[run]" in made["requirements"]
    assert made["torch"] == ""


def test_tests_bring_torch_and_never_a_gpu_extra() -> None:
    made = plan("test")
    assert made["torch"] == "torch==2.0"
    assert "-e .[run,test,train]" in made["requirements"]


def test_sourced_ros_is_used_and_its_numpy_held(sourced: dict[str, str]) -> None:
    made = plan("test", **sourced)
    assert made["distribution"] == "jazzy"
    assert not [each for each in made["requirements"] if each.startswith("ros-")]
    lines = str(made["constraints"]).splitlines()
    assert "numpy>=1,<2" in lines
    held = {line.split("=")[0] for line in lines if "==" in line}
    assert not held & {"numpy", "scipy", "numba", "pydantic"}
    assert "rosbags" in held


def test_interpreter_of_a_sourced_ros_is_found(sourced: dict[str, str]) -> None:
    found = run(str(TOOLS / "find_python.sh"), **sourced)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).exists()


def test_sourced_ros_without_rclpy_is_one_clear_line() -> None:
    found = run(str(TOOLS / "find_python.sh"), ROS_DISTRO="jazzy", PYTHON=os.path.realpath(sys.executable))
    assert found.returncode == 2
    assert len(found.stderr.splitlines()) == 1
    assert "jazzy is sourced" in found.stderr


def test_unsupported_python_is_one_clear_line(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\ncase "$2" in *version_info*) exit 1;; *) echo 3.8.10;; esac\n')
    old.chmod(0o755)
    found = run(str(TOOLS / "find_python.sh"), PYTHON=str(old))
    assert found.returncode == 2
    assert found.stderr == f"mm_fusion: PYTHON={old} is Python 3.8.10, supported are 3.10 to 3.13\n"


def test_missing_compiler_is_one_clear_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, 'tools'); import build_interfaces as b\n"
        "try: b.check_tools()\nexcept b.BuildError as error: print(error)"
    )
    interpreter = os.path.realpath(sys.executable)
    result = run(interpreter, "-c", code, PATH=str(tmp_path))
    assert "needs a C++ compiler" in result.stdout
    assert len(result.stdout.splitlines()) == 1


def test_definitions_decide_the_cached_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    import build_interfaces

    before = build_interfaces.digest(["ros-rclpy==1"])
    assert before == build_interfaces.digest(["ros-rclpy==1"])
    assert before != build_interfaces.digest(["ros-rclpy==2"])
    message = tmp_path / "some_msgs" / "msg" / "Some.msg"
    message.parent.mkdir(parents=True)
    message.write_text("std_msgs/Header header\nfloat32[6] row\nOther[] others\n")
    monkeypatch.setattr(build_interfaces, "DEFINITIONS", tmp_path)
    assert before != build_interfaces.digest(["ros-rclpy==1"])
    assert build_interfaces.packages_named_in(message.parent, "some_msgs") == ["std_msgs"]


def test_missing_system_libraries_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    import environment

    monkeypatch.setattr(environment.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(environment, "SYSTEM_LIBRARIES", {"libno_such_thing.so.9": "libnosuch9"})
    with pytest.raises(environment.SetupError) as caught:
        environment.install_system_libraries()
    command = "sudo apt-get install -y --no-install-recommends libnosuch9"
    assert str(caught.value) == f"system libraries are missing: {command}"
