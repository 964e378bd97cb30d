"""What a run refuses before it begins, in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.config import load_vehicle
from mm_fusion.detections import CLASSES, make_detections
from mm_fusion.errors import BagError, ConfigurationError
from mm_fusion.simulation.dataset import DatasetSettings, write_dataset
from mm_fusion.training import loading
from mm_fusion.training.loading import TrainingData
from mm_fusion.training.settings import TrainingConfig
from test.inputs import scene
from test.simulation.stub_world import install, stub_vehicle
from test.training.frames_of import ListedFrames


def objects(name: str):
    return make_detections(1, class_id=np.array([CLASSES.index(name)]), center=np.ones((1, 3)))


def data(monkeypatch, frames, vehicle=None, config=None, **settings):
    monkeypatch.setattr(loading, "open_frames", lambda *_: frames)
    wanted = TrainingConfig.model_validate(settings)
    return TrainingData(config or scene.config(), wanted, [Path("here")], vehicle)


def listed(name: str = "car", count: int = 4) -> ListedFrames:
    return ListedFrames([scene.frame({})] * count, [objects(name)] * count)


def test_what_fits_is_taken(monkeypatch):
    found = data(monkeypatch, listed())
    assert found.shares == [1.0]
    assert len(next(iter(found.loader(0)))["inputs"]["images"]) == 4


def test_data_without_a_labelled_frame_are_named(monkeypatch):
    with pytest.raises(ConfigurationError, match="here: expected labelled frames"):
        data(monkeypatch, ListedFrames([]))


def test_data_without_a_class_of_the_config_are_named(monkeypatch):
    with pytest.raises(ConfigurationError, match="here: expected objects of car, truck, found none in 4"):
        data(monkeypatch, listed("bus"), config=scene.config(classes=["car", "truck"]))


def test_data_of_another_vehicle_are_named(monkeypatch):
    with pytest.raises(ConfigurationError, match="another vehicle: expected sensors LIDAR_TOP"):
        data(monkeypatch, listed(), vehicle=load_vehicle("nuscenes_like"))
    data(monkeypatch, listed(), vehicle=scene.vehicle())
    frames = listed()
    sensors = {f"camera{n}": frames.vehicle.sensors["camera"] for n in range(3)}
    frames.vehicle = frames.vehicle.model_copy(update={"sensors": sensors})
    with pytest.raises(ConfigurationError, match="at most 2 cameras"):
        data(monkeypatch, frames)
    with pytest.raises(ConfigurationError, match="expected one of radar, got camera"):
        data(monkeypatch, frames, sensors=("radar",))


def test_a_shard_cut_in_half_is_named_before_the_run_begins(tmp_path, monkeypatch):
    install(monkeypatch)
    write_dataset(tmp_path / "d", replace(DatasetSettings.of(stub_vehicle(), 20, 1), frames_per_shard=8))
    path = tmp_path / "d" / "train" / "00001.npz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BagError, match=r"00001\.npz: is no whole shard"):
        TrainingData(scene.config(), TrainingConfig(), [tmp_path / "d"])
