"""`python -m test.training.one_car_run OUT STEPS`: a run on four small frames, for tests with processes."""

from __future__ import annotations

import sys
from pathlib import Path

from mm_fusion.training import loading
from mm_fusion.training.run import train
from test.network.scene import small_config
from test.training.test_run import OneCar, settings

if __name__ == "__main__":
    loading.open_frames = lambda *_: OneCar()
    train(small_config(), settings(int(sys.argv[2])), [Path("x")], Path(sys.argv[1]), quiet=True)
