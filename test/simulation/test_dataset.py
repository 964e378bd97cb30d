"""Shards: what is written comes back, splits stay apart, an interrupted run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.errors import BagError, ConfigurationError
from mm_fusion.messages.images import decode_pixels
from mm_fusion.simulation import dataset
from mm_fusion.simulation.clocks import random_of
from mm_fusion.simulation.dataset import DatasetSettings, make_shard, read_manifest, shards_of, write_dataset
from mm_fusion.simulation.rig import RigOptions
from mm_fusion.simulation.samples import SPLITS, samples_of, varied_vehicle
from mm_fusion.simulation.shards import read_shard, shard_meta, write_shard
from mm_fusion.simulation.simulator import Simulator
from test.simulation.stub_world import SPEED, install, stub_vehicle


@pytest.fixture(autouse=True)
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def settings(frames: int = 20, seed: int = 1) -> DatasetSettings:
    return replace(DatasetSettings.of(stub_vehicle(), frames, seed), frames_per_shard=8)


def test_an_empty_shard_comes_back_empty(tmp_path: Path) -> None:
    write_shard(tmp_path / "empty.npz", [], {})
    assert list(read_shard(tmp_path / "empty.npz")) == []


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    sensors = dict(stub_vehicle().sensors)
    sensors["radar"] = sensors["radar"].model_copy(update={"sweeps": 2})
    vehicle = stub_vehicle().model_copy(update={"sensors": sensors})
    written = list(samples_of(Simulator(vehicle), 3))
    write_shard(tmp_path / "a.npz", written, {"split": "train"})
    read = list(read_shard(tmp_path / "a.npz"))
    assert len(read) == 3 and shard_meta(tmp_path / "a.npz")["split"] == "train"
    for (frame, truth), (back, truth_back) in zip(written, read):
        assert back.stamp_ns == frame.stamp_ns and back.age_ns == frame.age_ns and back.kinds == frame.kinds
        lidar, lidar_back = frame.measurements["lidar"], back.measurements["lidar"]
        assert np.allclose(lidar_back.xyz, lidar.xyz, atol=0.02)
        assert np.array_equal(lidar_back.ring, lidar.ring)
        assert decode_pixels(back.measurements["camera"]).shape == (40, 64, 3)
        assert len(back.earlier["radar"]) == 2
        stamps = [back.measurements["radar"].stamp_ns, *(scan.stamp_ns for scan in back.earlier["radar"])]
        assert stamps == sorted(stamps, reverse=True)
        assert back.ego is not None and back.ego.linear_velocity[0] == pytest.approx(SPEED, abs=0.3)
        assert np.allclose(truth_back.objects.center, truth.objects.center)
        assert truth_back.objects.class_names() == truth.objects.class_names()
        assert truth_back.extra.keys() == truth.extra.keys()
        for name, mount in frame.calibration.base_from_sensor.items():
            assert np.array_equal(back.calibration.base_from_sensor[name], mount)


def test_every_sensor_is_at_its_own_time_near_the_reference() -> None:
    frame, _ = next(samples_of(Simulator(stub_vehicle()), 1))
    assert frame.age_ns["lidar"] == 0
    assert 0 < abs(frame.age_ns["camera"]) < 50_000_000


def test_splits_share_no_map_and_no_layout() -> None:
    rules = list(SPLITS.values())
    for i, one in enumerate(rules):
        for other in rules[i + 1 :]:
            assert not set(one.maps) & set(other.maps)
            for limits in ("height_m", "yaw_deg", "ghosts"):
                low, high = sorted((getattr(one, limits), getattr(other, limits)))
                assert low[1] <= high[0]
    assert "fog" not in SPLITS["train"].weathers


def test_layouts_keep_every_kind_and_the_reference() -> None:
    rule = replace(SPLITS["test"], dropped=(1.0, 1.0))
    for seed in range(10):
        vehicle = varied_vehicle(stub_vehicle(), rule, random_of(seed))
        assert {sensor.kind for sensor in vehicle.sensors.values()} == {"camera", "lidar", "radar"}
        up = abs(vehicle.sensors["lidar"].mount.xyz[2] - stub_vehicle().sensors["lidar"].mount.xyz[2])
        assert rule.height_m[0] <= up <= rule.height_m[1]


def test_a_data_set_is_whole_and_described(tmp_path: Path) -> None:
    seen = []
    manifest = write_dataset(
        tmp_path / "d", settings(), progress=lambda done, total: seen.append((done, total))
    )
    assert read_manifest(tmp_path / "d") == manifest and seen[-1] == (20, 20)
    counts = {split: sum(s["frames"] for s in shards) for split, shards in manifest["splits"].items()}
    assert counts == {"train": 16, "val": 2, "test": 2}
    for split, shards in manifest["splits"].items():
        for shard in shards:
            path = tmp_path / "d" / shard["file"]
            assert len(list(read_shard(path))) == shard["frames"]
            assert all(d["scenario"] in SPLITS[split].maps for d in shard_meta(path)["drives"])


def test_an_interrupted_run_goes_on_and_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path / "whole", settings())
    calls = []

    def interrupted(folder, given, shard):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(shard)
        return make_shard(folder, given, shard)

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "make_shard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_dataset(tmp_path / "d", settings())
    with pytest.raises(BagError, match="unfinished"):
        read_manifest(tmp_path / "d")
    remaining = []
    monkeypatch.setattr(dataset, "make_shard", lambda *a: remaining.append(a[2]) or make_shard(*a))
    write_dataset(tmp_path / "d", settings())
    assert len(remaining) == len(list(shards_of(settings()))) - 2
    for shard in shards_of(settings()):
        assert (tmp_path / "d" / shard.name).read_bytes() == (tmp_path / "whole" / shard.name).read_bytes()


def test_a_split_alone_is_that_of_the_whole(tmp_path: Path) -> None:
    write_dataset(tmp_path / "whole", settings())
    manifest = write_dataset(tmp_path / "d", settings(), splits=["test"])
    assert {split for split, shards in manifest["splits"].items() if shards} == {"test"}
    for shard in manifest["splits"]["test"]:
        assert (tmp_path / "d" / shard["file"]).read_bytes() == (
            tmp_path / "whole" / shard["file"]
        ).read_bytes()
    make_shard(tmp_path / "d", settings(), next(shards_of(settings())))  # one of train's two
    manifest = write_dataset(tmp_path / "d", settings(), splits=["val"])
    assert [bool(manifest["splits"][split]) for split in ("train", "val", "test")] == [False, True, True]
    assert write_dataset(tmp_path / "d", settings()) == read_manifest(tmp_path / "whole")
    with pytest.raises(ConfigurationError, match="expected some of train, val, test, got dusk"):
        write_dataset(tmp_path / "d", settings(), splits=["dusk"])


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", settings())
    with pytest.raises(ConfigurationError, match=r"other settings \(seed\)"):
        write_dataset(tmp_path / "d", settings(seed=2))


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "holiday.jpg").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="is not empty"):
        write_dataset(tmp_path / "d", settings())


def test_a_shard_cut_in_half_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_shard(path, list(samples_of(Simulator(stub_vehicle(), options=RigOptions()), 1)), {})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BagError, match=r"a\.npz: is no whole shard"):
        list(read_shard(path))
