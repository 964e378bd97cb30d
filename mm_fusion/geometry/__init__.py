"""Transforms, cameras, boxes, motion, radar physics and ground: arrays in, arrays out, no ROS."""
