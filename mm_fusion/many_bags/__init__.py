"""Many recordings, one task each: on the cores of this machine, or on a Ray cluster."""
