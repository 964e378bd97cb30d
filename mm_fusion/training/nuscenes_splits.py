"""Which scenes of nuScenes belong to which split, and which of its tables lie in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mm_fusion.bags.convert.recording import reading_source
from mm_fusion.errors import BagError

SPLITS_FILE = "splits.json"
"""Beside the tables: {split: [scene, ...]} as nuscenes-devkit reads it; stands over the official ones."""
MINI_VAL = (103, 916)
_VAL_RANGES = (
    (3, 3), (12, 18), (35, 36), (38, 39), (92, 110), (221, 221), (268, 278), (329, 332), (344, 346),
    (519, 524), (552, 565), (625, 627), (629, 630), (632, 638), (770, 771), (775, 775), (777, 778),
    (780, 784), (794, 800), (802, 802), (904, 917), (919, 931), (962, 963), (966, 969), (971, 972),
    (1059, 1073),
)  # fmt: skip
OFFICIAL_VAL = frozenset(number for low, high in _VAL_RANGES for number in range(low, high + 1))
"""Numbers of the 150 official validation scenes; the other 700 of v1.0-trainval are `train`.

Source: Caesar et al. 2020, nuscenes-devkit utils/splits.py.
"""


def tables_folder(folder: str | Path) -> Path | None:
    """The folder of the tables: `folder` itself or its one `v1.0-*`; None where there are none.

    Raises `BagError` where several versions lie there: name one of them.
    """
    folder = Path(folder)
    if _has_tables(folder):
        return folder
    found = sorted(path for path in folder.glob("v1.0-*") if _has_tables(path))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise BagError(
            f"{folder}: holds several versions of nuScenes: {names}; give the folder of one of them"
        )
    return found[0] if found else None


def _has_tables(folder: Path) -> bool:
    return (folder / "sample_data.json").is_file() and (folder / "ego_pose.json").is_file()


def scenes_of_split(tables: Path, names: Sequence[str], split: str) -> list[str]:
    """Those of the scenes `names` that belong to `split`, in their order.

    Splits are those of `splits.json` where it lies beside the tables, else the official `train` and `val`.
    Raises `BagError` for a split that is neither, or that holds none of these scenes.
    """
    file = tables / SPLITS_FILE
    if file.is_file():
        with reading_source(file):
            listed = {str(key): set(value) for key, value in json.loads(file.read_text("utf-8")).items()}
    else:
        val = {name for name in names if _number(name) in _val_numbers(tables)}
        listed = {"train": set(names) - val, "val": val}
    if split not in listed:
        raise BagError(f"{tables}: has no split {split!r}; there are {', '.join(sorted(listed))}")
    found = [name for name in names if name in listed[split]]
    if not found:
        raise BagError(
            f"{tables}: none of its {len(names)} scenes belongs to split {split!r}; write the wanted ones to "
            f"{SPLITS_FILE} beside the tables, as {{split: [scene, ...]}}"
        )
    return found


def _val_numbers(tables: Path) -> frozenset[int]:
    return frozenset(MINI_VAL) if tables.name.endswith("mini") else OFFICIAL_VAL


def _number(scene: str) -> int:
    digits = scene.rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1
