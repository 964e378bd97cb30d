"""A local Ray cluster of two workers: the same bytes as a run here, and what fails is said."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm_fusion.cli.main import main
from mm_fusion.errors import ConfigurationError
from mm_fusion.many_bags import ray_cluster

SAMPLE = Path(__file__).resolve().parents[2] / "rosbags" / "sample"
CHOICE = ("--vehicle", "nuscenes_like", "--only", "radar", "--quiet")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=100 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}},
    )
    yield
    ray.shutdown()


@pytest.mark.slow
def test_the_same_bytes_as_alone_and_a_bad_one_is_told(
    cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.mcap"
    bad.write_bytes((SAMPLE / "sample.mcap").read_bytes()[:100])
    other = tmp_path / "other.mcap"
    other.symlink_to(SAMPLE / "sample.mcap")
    bags = [str(each) for each in (SAMPLE, bad, other)]
    out = tmp_path / "out"
    assert main(["run", *bags, *CHOICE, "--out", str(out), "--engine", "ray"]) == 1
    said = capsys.readouterr().out
    assert "bad  failed 2 times" in said and "2 of 3 bags" in said
    assert main(["run", str(SAMPLE), *CHOICE, "--out", str(tmp_path / "alone.json")]) == 0
    alone = (tmp_path / "alone.json").read_bytes()
    assert (out / "sample.json").read_bytes() == alone
    assert (out / "other.json").read_bytes() == alone
    summary = json.loads((out / "summary.json").read_text())["bags"]
    assert summary["bad"]["error"] and summary["other"]["error"] is None


def test_an_address_where_nobody_answers_is_said_at_once() -> None:
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    ray.shutdown()
    with pytest.raises(ConfigurationError, match="ray start --head"):
        ray_cluster.RayEngine("127.0.0.1:1")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match="extra `ray`"):
        ray_cluster.RayEngine()
