"""Measurement times, the deadline collector, and the health of sensors."""
