"""ROS messages to records and back, by attribute: rclpy's and rosbags' objects go through the same code."""
