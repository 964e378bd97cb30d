from __future__ import annotations

import pytest

from mm_fusion.detectors.choice import make_detector
from mm_fusion.errors import ConfigurationError
from test.detectors.scene import frame, vehicle


def test_geometric_by_name():
    assert len(make_detector("geometric", vehicle()).detect(frame({}))) == 0


def test_a_file_of_settings(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("classes: {car: {length: [4, 1], width: [2, 1], height: [1.5, 1]}}\n")
    assert len(make_detector(str(path), vehicle()).detect(frame({}))) == 0


@pytest.mark.parametrize(("name", "text"), [("yolo", "choices are geometric"), ("none.yaml", "none.yaml")])
def test_an_unknown_name_says_what_there_is(name, text):
    with pytest.raises(ConfigurationError, match=text):
        make_detector(name, vehicle())


def test_a_checkpoint_runs_before_it_is_exported(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from mm_fusion.network.model import FusionModel
    from test.network.scene import small_config

    monkeypatch.setenv("MM_FUSION_CACHE", str(tmp_path / "cache"))
    state = FusionModel(small_config()).state_dict()
    torch.save(
        {"config": small_config().model_dump(mode="json"), "ema": {"mean": state}}, tmp_path / "last.ckpt"
    )
    for name in (tmp_path / "last.ckpt", tmp_path):
        detector = make_detector(str(name), vehicle())
        assert detector.backend == "torch"
        assert len(detector.detect(frame({}))) == 0
