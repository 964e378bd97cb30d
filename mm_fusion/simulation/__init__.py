"""Drives that never happened: a small street seen by ray casting through a vehicle file's sensors."""
