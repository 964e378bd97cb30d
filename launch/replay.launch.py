"""A recording through the fusion node, with RViz.

ros2 launch mm_fusion replay.launch.py bag:=PATH vehicle:=FILE [rate:=0.5] [rviz:=false]
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from mm_fusion.config import find_file
from mm_fusion.nodes.dds import dds_environment

ARGUMENTS = {
    "bag": (None, "recording to play"),
    "vehicle": (None, "vehicle file, or the name of a shipped one"),
    "model": ("", "detector; empty: as the vehicle file says"),
    "backend": ("auto", "what runs a learned model; auto: the fastest that works here"),
    "params": ("", "YAML file of parameters that override the vehicle file; empty: none"),
    "rviz": ("true", "start RViz"),
    "rate": ("1.0", "speed of playing"),
    "start": ("0.0", "seconds to leave out at the beginning"),
    "wait_for": ("20.0", "seconds to wait at most until the node listens"),
}


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
    player = Node(
        package="mm_fusion",
        executable="player_node",
        arguments=[
            LaunchConfiguration("bag"),
            "--rate",
            LaunchConfiguration("rate"),
            "--start",
            LaunchConfiguration("start"),
            "--wait-for",
            LaunchConfiguration("wait_for"),
        ],
        output="screen",
    )
    return LaunchDescription([*environment, *arguments, fusion, player])
