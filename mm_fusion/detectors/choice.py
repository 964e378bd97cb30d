"""A detector by name."""

from __future__ import annotations

from collections.abc import Callable

from mm_fusion.config import VehicleConfig
from mm_fusion.detectors.protocol import Detector


def make_detector(
    model: str,
    vehicle: VehicleConfig,
    backend: str = "auto",
    threads: int = 1,
    report: Callable[[str], None] | None = None,
) -> Detector:
    """The detector that `--model` names.

    model: `geometric`, a YAML file of its settings, a shipped model's name, the folder of an exported model,
    or a checkpoint of `train`. backend, threads: what runs a learned model, as `open_graphs` takes them; the
    geometric detector has no use for them. report: takes progress in words. Raises `ConfigurationError` with
    the choices where the name is none.
    """
    if model == "geometric" or model.endswith((".yaml", ".yml")):
        return _geometric(model, vehicle)
    from mm_fusion.detectors.learned import LearnedDetector
    from mm_fusion.runtime.model_files import find_model

    return LearnedDetector(vehicle, find_model(model), backend, threads, report)


def _geometric(name: str, vehicle: VehicleConfig) -> Detector:
    from mm_fusion.detectors.geometric.detector import GeometricDetector
    from mm_fusion.model_config import load_geometric

    return GeometricDetector(vehicle, load_geometric(name))
