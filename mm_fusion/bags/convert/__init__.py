"""Converters of recorded data sets into rosbag2 recordings, one module per source."""
