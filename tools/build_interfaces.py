"""Builds the message packages that have no wheel into one wheel, once, and keeps it in a cache.

Runs with the standard library alone under the interpreter that the wheel is for. The packages are built from
the `.msg` texts in `mm_fusion/messages/definitions`, in an environment that is thrown away afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
DEFINITIONS = ROOT / "mm_fusion" / "messages" / "definitions"
WHEEL_NAME = "mm_fusion_interfaces"
VERSIONS = {
    "autoware_perception_msgs": "1.12.0",
    "radar_msgs": "0.2.2",
    "tf2_msgs": "0.41.0",
    "vision_msgs": "4.1.1",
}
BUILD_REQUIREMENTS = (
    "rosidl-default-generators",
    "rosidl-core-generators",
    "ament-cmake",
    "ament-cmake-include-directories",
    "ament-cmake-ros-core",
    "ament-package",
)
MESSAGE_REQUIREMENTS = ("std-msgs", "geometry-msgs", "builtin-interfaces", "unique-identifier-msgs")

PACKAGE_XML = """<?xml version="1.0"?>
<package format="3">
  <name>{name}</name>
  <version>{version}</version>
  <description>Interfaces of {name}, built from their message definitions.</description>
  <maintainer email="maintainer@example.com">mm_fusion</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
{depends}
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""

# The wheels' exported Python targets carry include paths of the machine that built them, at which CMake
# would stop.
CMAKE_LISTS = """cmake_minimum_required(VERSION 3.20)
project({name})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
{finds}
file(GLOB messages RELATIVE ${{CMAKE_CURRENT_SOURCE_DIR}} msg/*.msg)
rosidl_generate_interfaces(${{PROJECT_NAME}} ${{messages}} DEPENDENCIES {depends})
get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(target IN LISTS imported)
  if(target MATCHES "__rosidl_generator_py$")
    set_target_properties(${{target}} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "")
  endif()
endforeach()
ament_package()
"""


class BuildError(Exception):
    """One line that says what the build needs or where it stopped."""


def main() -> None:
    """Prints the path of the wheel, built now or taken from the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--line", default="kilted", help="ROS 2 line whose wheels are installed beside it")
    parser.add_argument("--ros", nargs="+", required=True, help="ROS requirements that the environment holds")
    parser.add_argument("--pip-constraints", type=Path, default=ROOT / "constraints.txt")
    arguments = parser.parse_args()
    try:
        print(cached_wheel(arguments.line, arguments.ros, arguments.pip_constraints))
    except BuildError as error:
        sys.exit(f"mm_fusion: {error}")


def cached_wheel(line: str, ros: list[str], constraints: Path) -> Path:
    """Path of the wheel for this interpreter and ROS line; builds it where the cache has none."""
    folder = cache_folder() / f"{python_tag()}-{line}-{platform.machine()}-{digest(ros)}"
    found = sorted(folder.glob(f"{WHEEL_NAME}-*.whl"))
    if found:
        return found[0]
    check_tools()
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    try:
        log = folder.parent / f"{folder.name}.log"
        wheel = build(scratch, line, ros, constraints, log)
        folder.mkdir(exist_ok=True)
        return wheel.replace(folder / wheel.name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def cache_folder() -> Path:
    """Folder of cached wheels: the user's cache, or a temporary one where that cannot be written."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mm_fusion" / "interfaces"
    try:
        base.mkdir(parents=True, exist_ok=True)
        if os.access(base, os.W_OK):
            return base
    except OSError:
        pass
    spare = Path(tempfile.gettempdir()) / f"mm_fusion-{os.getuid()}" / "interfaces"
    print(f"mm_fusion: {base} cannot be written, the interface wheel is kept in {spare}", file=sys.stderr)
    spare.mkdir(parents=True, exist_ok=True)
    return spare


def digest(ros: list[str]) -> str:
    """Hash of what the wheel is made from: definitions, this script and the ROS wheels it links against."""
    made_from = hashlib.sha256(Path(__file__).read_bytes() + " ".join(sorted(ros)).encode())
    for path in sorted(DEFINITIONS.rglob("*.msg")):
        made_from.update(path.relative_to(DEFINITIONS).as_posix().encode() + path.read_bytes())
    return made_from.hexdigest()[:12]


def python_tag() -> str:
    """Tag of this interpreter, such as `cp311`."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}"


def check_tools() -> None:
    """Says what the build needs and the machine lacks."""
    compiler = os.environ.get("CXX", "c++").split()[0]
    if not (shutil.which(compiler) or shutil.which("g++") or shutil.which("clang++")):
        raise BuildError("building the ROS interfaces needs a C++ compiler: sudo apt-get install -y g++")
    if not shutil.which("cmake"):
        raise BuildError("building the ROS interfaces needs CMake: sudo apt-get install -y cmake")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise BuildError(
            f"building the ROS interfaces needs Python.h: sudo apt-get install -y python{version}-dev"
        )


def build(scratch: Path, line: str, ros: list[str], constraints: Path, log: Path) -> Path:
    """Wheel of all interface packages, built in `scratch`."""
    print(f"mm_fusion: building the ROS interfaces once, about 2 minutes (log: {log})", file=sys.stderr)
    with log.open("w") as stream:
        environment = make_environment(scratch / "environment", line, ros, constraints, stream)
        names = sorted(path.name for path in DEFINITIONS.iterdir())
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(lambda name: build_package(name, scratch, environment, stream), names))
        return pack(scratch, names, line, ros, environment, stream)


def clean_variables() -> dict[str, str]:
    """Variables of this process without those of another environment (its start-up hook is inherited)."""
    variables = dict(os.environ, PYTHONNOUSERSITE="1", PYTHONDONTWRITEBYTECODE="1")
    if variables.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None):
        variables.pop("LD_LIBRARY_PATH", None)
    for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        variables.pop(name, None)
    return variables


def make_environment(
    folder: Path, line: str, ros: list[str], constraints: Path, log: TextIO
) -> dict[str, str]:
    """Variables under which CMake finds a fresh environment with the generators of the ROS line."""
    variables = clean_variables()
    run([sys.executable, "-m", "venv", str(folder)], variables, log)
    variables["PATH"] = f"{folder / 'bin'}{os.pathsep}{variables['PATH']}"
    generators = [f"ros-{line}-{name}" for name in BUILD_REQUIREMENTS]
    messages = [f"ros-{name}" for name in MESSAGE_REQUIREMENTS]
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "-c", str(constraints)]
    run(
        [*pip, *ros, *messages, *generators, "catkin-pkg", "ninja", "wheel", "setuptools<80", "numpy"],
        variables,
        log,
    )
    variables["AMENT_PREFIX_PATH"] = variables["CMAKE_PREFIX_PATH"] = str(folder)
    return variables


def build_package(name: str, scratch: Path, variables: dict[str, str], log: TextIO) -> None:
    """Generates, compiles and installs one interface package below `scratch/install`."""
    source = scratch / "source" / name
    shutil.copytree(DEFINITIONS / name / "msg", source / "msg")
    depends = packages_named_in(source / "msg", name)
    tags = "\n".join(f"  <depend>{package}</depend>" for package in depends)
    finds = "\n".join(f"find_package({package} REQUIRED)" for package in depends)
    (source / "package.xml").write_text(PACKAGE_XML.format(name=name, version=VERSIONS[name], depends=tags))
    (source / "CMakeLists.txt").write_text(
        CMAKE_LISTS.format(name=name, finds=finds, depends=" ".join(depends))
    )
    folder = str(scratch / "build" / name)
    python = scratch / "environment" / "bin" / "python"
    options = [f"-DPython3_EXECUTABLE={python}", f"-DCMAKE_INSTALL_PREFIX={scratch / 'install'}"]
    options += ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF", "-Wno-dev"]
    run(["cmake", "-G", "Ninja", "-S", str(source), "-B", folder, *options], variables, log)
    run(["cmake", "--build", folder], variables, log)
    run(["cmake", "--install", folder], variables, log)


def packages_named_in(folder: Path, name: str) -> list[str]:
    """Other packages whose types the message definitions in a folder use."""
    lines = [
        line.split()
        for path in folder.glob("*.msg")
        for line in path.read_text().splitlines()
        if line.strip()
    ]
    return sorted({words[0].split("/")[0] for words in lines if "/" in words[0]} - {name})


def pack(
    scratch: Path, names: list[str], line: str, ros: list[str], variables: dict[str, str], log: TextIO
) -> Path:
    """Wheel with Python packages at its root, libraries and ament index as data files."""
    version = f"1.0+{line}.{digest(ros)}"
    tree, installed = scratch / "wheel", scratch / "install"
    data = tree / f"{WHEEL_NAME}-{version}.data" / "data"
    for name in names:
        (package,) = installed.glob(f"lib*/python*/*-packages/{name}")
        shutil.copytree(package, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    (data / "lib").mkdir(parents=True)
    for library in installed.glob("lib/*.so"):
        shutil.copy2(library, data / "lib")
    shutil.copytree(installed / "share", data / "share")
    write_metadata(tree / f"{WHEEL_NAME}-{version}.dist-info", version)
    run(
        [str(scratch / "environment" / "bin" / "wheel"), "pack", str(tree), "-d", str(scratch)],
        variables,
        log,
    )
    return next(scratch.glob("*.whl"))


def write_metadata(folder: Path, version: str) -> None:
    """Writes what makes a folder a wheel; `wheel pack` adds the record of files."""
    folder.mkdir()
    tag = f"{python_tag()}-{python_tag()}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
    summary = "ROS 2 message packages without a wheel, for mm_fusion"
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {WHEEL_NAME}\nVersion: {version}\nSummary: {summary}\n"
    )
    (folder / "WHEEL").write_text(
        f"Wheel-Version: 1.0\nGenerator: mm_fusion\nRoot-Is-Purelib: false\nTag: {tag}\n"
    )


def run(command: list[str], variables: dict[str, str], log: TextIO) -> None:
    """Runs a command into the log; a failure names the command and the log."""
    result = subprocess.run(command, env=variables, stdout=log, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        raise BuildError(
            f"the ROS interfaces could not be built, `{' '.join(command[:4])} ...` failed: see {log.name}"
        )


if __name__ == "__main__":
    main()
