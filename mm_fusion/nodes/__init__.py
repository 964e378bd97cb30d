"""Processes on the ROS graph: fusion node, bag player, recorder; the only code that imports rclpy."""
