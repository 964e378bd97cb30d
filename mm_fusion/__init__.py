"""Fused 3D detections from cameras, LiDARs and radars, on ROS 2 or on recordings without it."""

__version__ = "0.1.0"
