"""Makes `.venv` for `make demo` (profile `run`) or `make test` (profile `test`).

A second call only compares a stamp. Started by the interpreter that `tools/find_python.sh` chose, with the
standard library alone. Without ROS the ROS wheels and the built interface packages are installed; with a
ROS 2 installation sourced, the environment sees its packages, takes nothing from elsewhere that it brings,
and holds NumPy to its major version.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import build_interfaces

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
LINE = "kilted"
ROS_WHEELS = (
    "ros-rclpy[fastrtps]==9.1.2",
    "ros-sensor-msgs==5.5.1",
    "ros-nav-msgs==5.5.1",
    "ros-visualization-msgs==5.5.1",
    "ros-diagnostic-msgs==5.5.1",
)
DEVKIT = "nuscenes-devkit==1.2.0"
# What the wheels of OpenCV and Open3D load from the system: file to look for, Debian package that has it.
SYSTEM_LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libgomp.so.1": "libgomp1",
}
# Distributions of one import name: the first is installed where the name cannot be imported.
ALTERNATIVES = {"cv2": "opencv-python-headless", "open3d": "open3d-cpu"}
# Compiled against NumPy 2: with an older NumPy held, pip chooses versions that go with it.
FOLLOW_NUMPY = re.compile(
    r"^(numpy|scipy|numba|llvmlite|matplotlib|contourpy|opencv|open3d|scikit-learn|onnx|ml-dtypes)"
)
INTERFACES = ("vision_msgs", "radar_msgs", "tf2_msgs")


class SetupError(Exception):
    """One line that says what is missing and what to do."""


@dataclass(frozen=True)
class Plan:
    """What the environment is made from; equal plans give equal environments."""

    profile: str
    python: str
    python_version: str
    distribution: str | None
    constraints: str
    requirements: tuple[str, ...]
    torch: str
    sources: str

    def stamp(self) -> str:
        """Hash of the plan."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def main() -> None:
    """Brings the environment up to the profile, or prints the plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", choices=("run", "test"))
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--torch", default="torch", help="pip arguments that install torch")
    parser.add_argument("--plan", action="store_true", help="print what would be installed, and stop")
    arguments = parser.parse_args()
    try:
        plan = make_plan(arguments.profile, arguments.torch, os.environ)
        if arguments.plan:
            print(json.dumps(asdict(plan), indent=2))
            return
        make_environment(plan, arguments.venv)
        if plan.profile == "test":
            # What tests need includes what running needs.
            stamp_of(arguments.venv, "run").write_text(make_plan("run", arguments.torch, os.environ).stamp())
    except (SetupError, build_interfaces.BuildError) as error:
        sys.exit(f"mm_fusion: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"mm_fusion: `{shlex.join(map(str, error.cmd[:6]))} ...` failed, see above")


def make_plan(profile: str, torch: str, environ: Mapping[str, str]) -> Plan:
    """The plan for this interpreter and shell."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        raise SetupError(f"needs Python 3.10 to 3.13, this is {platform.python_version()}")
    distribution = sourced_distribution(environ)
    constraints = CONSTRAINTS.read_text(encoding="utf-8")
    extras = "run" if profile == "run" else "run,test,train"
    requirements = [*ROS_WHEELS, f"-e .[{extras}]"]
    if distribution:
        constraints = system_constraints(constraints, installed_versions())
        absent = [package for name, package in ALTERNATIVES.items() if importlib.util.find_spec(name) is None]
        requirements = [*absent, "-e .[onnx]" if profile == "run" else "-e .[test,train]"]
    elif platform.machine() != "x86_64":
        raise SetupError(
            f"the ROS wheels are for x86_64, this is {platform.machine()}: source a ROS 2 installation"
        )
    return Plan(
        profile=profile,
        python=os.path.realpath(sys.executable),
        python_version=platform.python_version(),
        distribution=distribution,
        constraints=constraints,
        requirements=tuple(requirements),
        torch=torch if profile == "test" else "",
        sources=digest_of_sources(),
    )


def sourced_distribution(environ: Mapping[str, str]) -> str | None:
    """Name of the ROS 2 distribution that is sourced and that this interpreter can import, or None."""
    distribution = environ.get("ROS_DISTRO")
    if distribution and importlib.util.find_spec("rclpy") is None:
        raise SetupError(f"ROS 2 {distribution} is sourced but {sys.executable} does not import rclpy")
    return distribution or None


def installed_versions() -> dict[str, str]:
    """Versions of what this interpreter sees, by normalised name; the first on the path counts."""
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        if each.metadata["Name"]:
            found.setdefault(normal(each.metadata["Name"]), each.version)
    return found


def normal(name: str) -> str:
    """Name of a distribution as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def system_constraints(text: str, installed: Mapping[str, str]) -> str:
    """Constraints that leave alone what the distribution brings and hold NumPy to its major version.

    Pins of ROS wheels go, so do pins of what is installed; where the distribution has a NumPy, the packages
    compiled against one are free, so that pip finds versions that go together.
    """
    numpy = installed.get("numpy")
    lines = []
    for line in text.splitlines():
        name = normal(re.split(r"[=;\s]", line, maxsplit=1)[0])
        freed = name in installed or name.startswith("ros-") or (numpy and FOLLOW_NUMPY.match(name))
        if line.startswith("#") or not freed:
            lines.append(line)
    if numpy:
        major = int(numpy.split(".")[0])
        lines.append(f"numpy>={major},<{major + 1}")
    return "\n".join(lines) + "\n"


def digest_of_sources() -> str:
    """Hash of the files that decide what is installed beside the constraints."""
    names = ("setup.py", "setup.cfg", "tools/environment.py", "tools/build_interfaces.py")
    made_from = b"".join((ROOT / name).read_bytes() for name in names)
    return hashlib.sha256(made_from + build_interfaces.digest(list(ROS_WHEELS)).encode()).hexdigest()


def make_environment(plan: Plan, venv: Path) -> None:
    """Makes the environment or completes it; does nothing where its stamp says that it stands."""
    stamp = stamp_of(venv, plan.profile)
    if stamp.exists() and stamp.read_text() == plan.stamp():
        return
    install_system_libraries()
    wheel = None if plan.distribution else interface_wheel()
    make_venv(plan, venv)
    install(plan, venv, wheel)
    if plan.distribution:
        check_interfaces(plan.distribution, venv)
    stamp.write_text(plan.stamp())
    say(f"environment {venv} is ready ({plan.profile}, {describe(plan)})")


def stamp_of(venv: Path, profile: str) -> Path:
    """File that says which plan an environment stands for."""
    return venv / f"stamp-{profile}"


def describe(plan: Plan) -> str:
    """Words for where ROS comes from."""
    return f"ROS 2 {plan.distribution} as sourced" if plan.distribution else f"ROS 2 {LINE} from wheels"


def interface_wheel() -> Path:
    """Wheel of the interface packages that have none of their own."""
    return build_interfaces.cached_wheel(LINE, list(ROS_WHEELS), CONSTRAINTS)


def install_system_libraries() -> None:
    """Installs missing system libraries with apt as root, or says the command."""
    missing = sorted({package for file, package in SYSTEM_LIBRARIES.items() if not loads(file)})
    apt_install(missing, "system libraries are missing")


def loads(file: str) -> bool:
    """Whether the loader finds a shared library."""
    try:
        ctypes.CDLL(file)
    except OSError:
        return False
    return True


def apt_install(packages: Iterable[str], reason: str) -> None:
    """Installs Debian packages as root; otherwise, or when that fails, stops with the command to type."""
    names = list(packages)
    if not names:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *names]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"{reason}: {shlex.join(command)}")
        variables = dict(build_interfaces.clean_variables(), DEBIAN_FRONTEND="noninteractive")
        subprocess.run(["apt-get", "update", "-qq"], env=variables, check=False)
        if subprocess.run([*command[:2], "-qq", *command[2:]], env=variables, check=False).returncode == 0:
            return
    raise SetupError(f"{reason}: sudo {shlex.join(command)}")


def make_venv(plan: Plan, venv: Path) -> None:
    """Creates the virtual environment; one of another interpreter or kind is made anew."""
    system = bool(plan.distribution)
    if venv.exists() and not fits(plan, venv):
        say(f"making {venv} anew for {plan.python} ({describe(plan)})")
        shutil.rmtree(venv)
    if not venv.exists():
        if importlib.util.find_spec("ensurepip") is None:
            version = ".".join(plan.python_version.split(".")[:2])
            apt_install([f"python{version}-venv"], f"Python {version} has no ensurepip")
        options = ["--system-site-packages"] if system else []
        run([plan.python, "-m", "venv", *options, str(venv)], plan)


def fits(plan: Plan, venv: Path) -> bool:
    """Whether an environment has the plan's interpreter and kind, and starts."""
    try:
        text = (venv / "pyvenv.cfg").read_text()
        kind = f"include-system-site-packages = {str(bool(plan.distribution)).lower()}" in text
        command = [
            str(venv / "bin" / "python"),
            "-c",
            "import pip, platform, sys; print(platform.python_version())",
        ]
        result = subprocess.run(command, env=variables_for(plan), capture_output=True, text=True, check=True)
        base = os.path.realpath(venv / "bin" / "python") == plan.python
        return kind and base and result.stdout.strip() == plan.python_version
    except (OSError, subprocess.CalledProcessError):
        return False


def install(plan: Plan, venv: Path, wheel: Path | None) -> None:
    """Installs what the plan says, torch first so that its own index decides its version."""
    constraints = venv / "constraints.txt"
    constraints.write_text(plan.constraints)
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-c", str(constraints)]
    # Left from an earlier call, its requirements would make pip print conflicts that are none.
    run([python, "-m", "pip", "uninstall", "-qq", "-y", DEVKIT.split("=")[0]], plan)
    run([*pip, "pip", "setuptools", "wheel"], plan)
    if plan.torch:
        say(f"installing {plan.torch}")
        run([*pip, *shlex.split(plan.torch)], plan)
    say(f"installing what `{plan.profile}` needs ({describe(plan)})")
    requirements = [word for each in plan.requirements for word in each.split()]
    run([*pip, "--no-build-isolation", *requirements, *([str(wheel)] if wheel else [])], plan)
    if plan.profile == "test":
        # Its own requirements hold NumPy below 2; `test` has what the tests use of it.
        run([*pip, "--no-deps", DEVKIT], plan)


def check_interfaces(distribution: str, venv: Path) -> None:
    """Installs interface packages that a sourced distribution lacks, or says the command."""
    python = str(venv / "bin" / "python")
    absent = [name for name in INTERFACES if not imports(python, f"{name}.msg")]
    apt_install(
        [debian_name(distribution, name) for name in absent], f"ROS 2 {distribution} lacks interfaces"
    )
    if not imports(python, "autoware_perception_msgs.msg"):
        package = debian_name(distribution, "autoware_perception_msgs")
        say(f"no autoware_perception_msgs: ~/objects will not be published (sudo apt-get install {package})")


def debian_name(distribution: str, package: str) -> str:
    """Debian package of a ROS package."""
    return f"ros-{distribution}-{package.replace('_', '-')}"


def imports(python: str, module: str) -> bool:
    """Whether an interpreter imports a module."""
    return (
        subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0
    )


def variables_for(plan: Plan) -> dict[str, str]:
    """Variables of children: those of the shell with ROS sourced, else cleaned of any other environment's."""
    return dict(os.environ) if plan.distribution else build_interfaces.clean_variables()


def run(command: list[str], plan: Plan) -> None:
    """Runs a command in the repository; a failure raises."""
    subprocess.run(command, cwd=ROOT, env=variables_for(plan), check=True)


def say(text: str) -> None:
    """Prints one line of progress."""
    print(f"mm_fusion: {text}", flush=True)


if __name__ == "__main__":
    main()
