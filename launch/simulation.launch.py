"""A simulated drive through the fusion node, with RViz: no recording and no vehicle needed.

ros2 launch mm_fusion simulation.launch.py [scenario:=urban] [weather:=night] [faults:=lidar_lost]
"""

from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from mm_fusion.config import find_file
from mm_fusion.nodes.dds import dds_environment

ARGUMENTS = {
    "vehicle": ("nuscenes_like", "vehicle file, or the name of a shipped one"),
    "scenario": ("urban", "urban, straight, curve, intersection, highway, parking or roundabout"),
    "weather": ("clear", "clear, rain, fog or night"),
    "faults": ("", "fault file, or the name of a shipped one; empty: none"),
    "seed": ("7", "the same seed gives the same drive"),
    "seconds": ("20.0", "length of the drive"),
    "camera_width": ("352", "px; wider images are made this wide, 0: as in the vehicle file"),
    "rate": ("1.0", "drive seconds per second, 0: as fast as it can"),
    "wait_for": ("20.0", "seconds to wait at most until the node listens"),
    "model": ("", "detector; empty: as the vehicle file says"),
    "backend": ("auto", "what runs a learned model; auto: the fastest that works here"),
    "params": ("", "YAML file of parameters that override the vehicle file; empty: none"),
    "rviz": ("true", "start RViz"),
}
OF_THE_DRIVE = (
    "vehicle",
    "scenario",
    "weather",
    "faults",
    "seed",
    "seconds",
    "camera_width",
    "rate",
    "wait_for",
)


def start(context):
    words = []
    for name in OF_THE_DRIVE:
        value = LaunchConfiguration(name).perform(context)
        words += [f"--{name.replace('_', '-')}", value] if value else []
    return [Node(package="mm_fusion", executable="simulator_node", arguments=words, output="screen")]


def generate_launch_description():
    environment = [SetEnvironmentVariable(name, value) for name, value in dds_environment().items()]
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    passed_on = {
        name: LaunchConfiguration(name) for name in ("vehicle", "model", "backend", "params", "rviz")
    }
    fusion = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(find_file("launch", "fusion.launch.py"))),
        launch_arguments=[*passed_on.items(), ("use_sim_time", "true")],
    )
    return LaunchDescription([*environment, *arguments, fusion, OpaqueFunction(function=start)])
