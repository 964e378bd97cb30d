"""How mm_fusion is installed, by pip as by colcon (ament_python)."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

# Resolved: colcon --symlink-install runs a link to this file from its build folder.
ROOT = Path(__file__).resolve().parent
NAME = "mm_fusion"
VERSION = "0.1.0"


def data_files() -> list[tuple[str, list[str]]]:
    """Files for `share/`, as (folder, files): ament index, manifest, launch, config and sample recording."""
    share = f"share/{NAME}"
    found = [("share/ament_index/resource_index/packages", [f"resource/{NAME}"]), (share, ["package.xml"])]
    for top in ("launch", "config", "rosbags"):
        for folder in sorted({path.parent for path in Path(ROOT, top).rglob("*") if path.is_file()}):
            files = sorted(folder.glob("*"))
            names = [
                path.relative_to(ROOT).as_posix()
                for path in files
                if path.is_file() and path.suffix != ".pyc"
            ]
            if names and folder.name != "__pycache__":
                found.append((f"{share}/{folder.relative_to(ROOT).as_posix()}", names))
    return found


setup(
    name=NAME,
    version=VERSION,
    description="Fused 3D detections from cameras, LiDARs and radars on ROS 2",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    maintainer="mm_fusion maintainers",
    maintainer_email="maintainers@mm-fusion.invalid",
    keywords=["ROS 2", "perception", "sensor fusion", "radar", "LiDAR", "camera"],
    classifiers=[
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["messages/definitions/*/msg/*.msg", "weights/**/*"]},
    data_files=data_files(),
    zip_safe=False,
    # OpenCV and Open3D are needed too, but come in several distributions of one import name (and from apt):
    # the extras `run` and `desktop` each choose one pair.
    install_requires=[
        "matplotlib",
        "mcap",
        "numba",
        "numpy",
        "pydantic>=2",
        "PyYAML",
        "rosbags>=0.11",
        "scipy",
        "tqdm",
    ],
    extras_require={
        # with what runs the shipped models on a CPU
        "run": ["opencv-python-headless", "open3d-cpu", "onnxruntime"],
        "desktop": ["opencv-python", "open3d", "onnxruntime"],
        "onnx": ["onnxruntime"],
        "train": [
            "torch>=2.4",
            "lightning",
            "tensorboard",
            "onnx",
            "onnxruntime",
            "onnxscript",
            "safetensors",
        ],
        "openvino": ["openvino"],
        # 200 MB installed: not part of `test`, whose test of it skips without
        "ray": ["ray"],
        # torch comes built with CUDA from its own index; JetPack brings TensorRT itself
        "gpu": ["onnxruntime-gpu", "tensorrt", "safetensors"],
        # opt-in, under NVIDIA's licence: parses and builds engines without a GPU, for checks alone
        "rtx": ["tensorrt-rtx"],
        # nuscenes-devkit is installed without its dependencies: what it imports beside ours is cachetools,
        # pyquaternion and scikit-learn.
        "test": [
            "cachetools",
            "catkin-pkg",
            "colcon-library-path",
            "colcon-output",
            "colcon-python-setup-py",
            "colcon-recursive-crawl",
            "colcon-ros",
            "hypothesis",
            "mypy",
            "openvino",
            "pyquaternion",
            "pytest",
            "ruff",
            "scikit-learn",
            "types-PyYAML",
            "types-tqdm",
        ],
    },
    entry_points={
        "console_scripts": [
            "mm-fusion = mm_fusion.cli.main:main",
            "fusion_node = mm_fusion.nodes.fusion_node:main",
            "player_node = mm_fusion.nodes.player_node:main",
            "recorder_node = mm_fusion.nodes.recorder_node:main",
            "simulator_node = mm_fusion.nodes.simulator_node:main",
        ],
    },
)
