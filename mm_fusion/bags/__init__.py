"""Recordings: reading, writing, inspecting and converting them, without ROS."""
