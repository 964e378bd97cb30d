"""Drives that never happened: a procedural world seen by ray casting through a vehicle file's sensors."""
