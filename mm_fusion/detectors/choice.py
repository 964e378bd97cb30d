"""A detector by name."""

from __future__ import annotations

from pathlib import Path

from mm_fusion.config import VehicleConfig
from mm_fusion.detectors.protocol import Detector
from mm_fusion.errors import ConfigurationError


def make_detector(model: str, vehicle: VehicleConfig) -> Detector:
    """The detector that `--model` names: `geometric`, a YAML file of its settings, or an exported folder.

    Raises `ConfigurationError` with the choices where the name is none.
    """
    match model:
        case "geometric":
            return _geometric(model, vehicle)
        case path if path.endswith((".yaml", ".yml")):
            return _geometric(path, vehicle)
        case path if Path(path).is_dir():
            from mm_fusion.detectors.learned import LearnedDetector

            return LearnedDetector(vehicle, Path(path))
        case _:
            raise ConfigurationError(
                f"model {model!r}: no such model; choices are geometric, a YAML file of its settings, or the "
                "folder of an exported model"
            )


def _geometric(name: str, vehicle: VehicleConfig) -> Detector:
    from mm_fusion.detectors.geometric.detector import GeometricDetector
    from mm_fusion.model_config import load_geometric

    return GeometricDetector(vehicle, load_geometric(name))
