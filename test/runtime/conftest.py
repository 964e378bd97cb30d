"""A small exported model, and a cache that belongs to one test alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime import cache_folder
from test.network.scene import small_config


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that `MM_FUSION_CACHE` names."""
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def config() -> LearnedConfig:
    """Sizes of the small model."""
    return small_config()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder as `export` writes it; read only."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from mm_fusion.network.model import FusionModel
    from mm_fusion.training.export import export_model

    torch.manual_seed(0)
    model = FusionModel(small_config()).eval()
    torch.nn.init.normal_(model.fusion.refinement.say[-1].weight, std=0.05)
    torch.nn.init.normal_(model.fusion.head.heatmap.weight, std=0.3)
    return export_model(model, tmp_path_factory.mktemp("exported"))


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A copy of the exported folder that a test may harm."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in exported.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
