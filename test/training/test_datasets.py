from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.errors import BagError, ConfigurationError
from mm_fusion.simulation.dataset import DatasetSettings, write_dataset
from mm_fusion.simulation.shards import read_shard
from mm_fusion.training.changes import Changed
from mm_fusion.training.datasets import JoinedFrames, SampleDataset, open_frames
from mm_fusion.training.shard_frames import ShardFrames
from test.inputs import scene
from test.simulation.stub_world import install, stub_vehicle


def config():
    """The small model, with slices up to where the stub's points are."""
    return scene.config(lidar={"slice_edges": [0.0, 2.0, 5.0]})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of 16 training frames in shards of 8."""
    install(monkeypatch)
    write_dataset(tmp_path / "d", replace(DatasetSettings.of(stub_vehicle(), 20, 1), frames_per_shard=8))
    return tmp_path / "d"


def turned(number, frame, truth, rng, progress):
    """Flipped or not; at the top so that another process can find it."""
    return Changed(frame, truth, frame, np.diag([1.0, rng.choice([-1.0, 1.0]), 1.0, 1.0]))


def same(one, other) -> bool:
    return all(np.array_equal(one.inputs[name], other.inputs[name]) for name in one.inputs)


def test_frames_come_in_any_order(folder):
    frames = ShardFrames(folder)
    assert len(frames) == 16 and frames.shard_ends.tolist() == [8, 16]
    wanted = [s for number in range(2) for s in read_shard(folder / "train" / f"{number:05d}.npz")]
    for number in (15, 0, 8, 7):
        frame, truth = frames[number]
        assert frame.stamp_ns == wanted[number][0].stamp_ns == truth.stamp_ns
        assert np.array_equal(frame.measurements["lidar"].xyz, wanted[number][0].measurements["lidar"].xyz)
    assert [ids.tolist() for ids in frames.class_ids()] == [t.objects.class_id.tolist() for _, t in wanted]
    assert set(frames.vehicle.sensors) == {"lidar", "camera", "radar"}


def test_a_sample_is_whole(folder):
    dataset = SampleDataset(open_frames(folder, "train"), config())
    sample = dataset[3]
    assert sample.inputs["available"].tolist() == [1, 1, 1] and len(dataset) == 16
    assert sample.inputs["lidar"].any() and sample.labelled.all() and sample.labelled.shape == (32, 32)
    assert sample.depth_bins.shape == (2, 8, 16) and (sample.depth_bins[0] >= 0).any()
    assert (sample.depth_bins[1] == -1).all()
    assert len(sample.truth.objects) == 1
    with pytest.raises(IndexError):
        dataset[16]


def test_the_same_seed_gives_the_same_and_augmentation_follows_it(folder):
    frames = ShardFrames(folder)
    one, other = (SampleDataset(frames, config(), turned, seed=5) for _ in range(2))
    assert all(same(one[number], other[number]) for number in (4, 1, 4))
    assert same(pickle.loads(pickle.dumps(one))[4], one[4])
    changed = []
    for turn in range(6):
        changed.append(not same(one.sample(4, turn), other[4]))
    assert any(changed) and not changed[0]


def test_lost_sensors_take_no_truth_away(folder):
    def blind(number, frame, truth, rng, progress):
        gone = replace(frame, measurements={}, available=dict.fromkeys(frame.kinds, False))
        return Changed(gone, truth, frame)

    sample = SampleDataset(ShardFrames(folder), config(), blind)[0]
    assert not sample.inputs["available"].any() and (sample.depth_bins >= 0).any() and sample.labelled.all()


def test_two_sets_are_one(folder):
    joined = JoinedFrames([ShardFrames(folder, "train"), ShardFrames(folder, "val")])
    assert len(joined) == 18
    assert joined[16][0].stamp_ns == ShardFrames(folder, "val")[0][0].stamp_ns


def test_data_of_another_vehicle_are_refused(folder):
    one, other = ShardFrames(folder), ShardFrames(folder)
    sensors = {name: s for name, s in one.vehicle.sensors.items() if name != "radar"}
    other.vehicle = one.vehicle.model_copy(update={"sensors": sensors})
    with pytest.raises(ConfigurationError, match="another vehicle: expected sensors lidar, camera, radar"):
        JoinedFrames([one, other])


def test_what_is_wrong_is_named(folder, tmp_path):
    with pytest.raises(BagError, match="no frames of split 'night'"):
        open_frames(folder, "night")
    path = folder / "train" / "00001.npz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = ShardFrames(folder)
    assert frames[0] is not None
    with pytest.raises(BagError, match=r"00001\.npz: is no whole shard"):
        frames.class_ids()
    with pytest.raises(BagError, match=r"00001\.npz: is no whole shard"):
        frames[8]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError):
        open_frames(tmp_path / "empty")
