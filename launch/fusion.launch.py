"""The fusion node, and RViz beside it where asked.

ros2 launch mm_fusion fusion.launch.py vehicle:=FILE [rviz:=true] [use_sim_time:=true] [params:=FILE]
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from mm_fusion.config import find_file
from mm_fusion.nodes.dds import dds_environment

ARGUMENTS = {
    "vehicle": (None, "vehicle file, or the name of a shipped one"),
    "model": ("", "detector; empty: as the vehicle file says"),
    "backend": ("auto", "what runs a learned model; auto: the fastest that works here"),
    "threads": ("1", "threads of one inference"),
    "deadline_ms": ("0", "from a frame's release to its publication; 0: the time between frames"),
    "autostart": ("true", "configure and activate without being asked"),
    "use_sim_time": ("false", "take time from /clock"),
    "record_receipts": ("", "file to log what is received; empty: none"),
    "params": ("", "YAML file of parameters that override the vehicle file; empty: none"),
    "rviz": ("false", "start RViz"),
}


def start(context):
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    sim_time = {"use_sim_time": value["use_sim_time"].lower() == "true"}
    own = {
        "vehicle": value["vehicle"],
        "autostart": value["autostart"].lower() == "true",
        "backend": value["backend"],
        "threads": int(value["threads"]),
        "deadline_ms": float(value["deadline_ms"]),
        "record_receipts": value["record_receipts"],
        **sim_time,
    }
    if value["model"]:
        own["model"] = value["model"]
    parameters = [value["params"]] if value["params"] else []
    fusion = Node(
        package="mm_fusion",
        executable="fusion_node",
        name="fusion",
        parameters=[*parameters, own],
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(find_file("config/rviz", "fusion.rviz"))],
        parameters=[sim_time],
    )
    return [fusion, rviz] if value["rviz"].lower() == "true" else [fusion]


def generate_launch_description():
    environment = [SetEnvironmentVariable(name, value) for name, value in dds_environment().items()]
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*environment, *arguments, OpaqueFunction(function=start)])
