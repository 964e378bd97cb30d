"""Scores of detections against truth, and of a calibration against its images."""
