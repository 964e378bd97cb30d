"""Simulated against real: the layout of Astyx simulated, the same figures of both, a table and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from mm_fusion.evaluation.json_file import write_json, write_whole
from mm_fusion.simulation.compare_crops import Crops, add_crops, aucs_of
from mm_fusion.simulation.compare_figures import Figures, add_scene, rows_of, table_of
from mm_fusion.simulation.compare_plots import write_plots
from mm_fusion.simulation.compare_scenes import CompareScene, count_real, real_scenes, simulated_scenes
from mm_fusion.simulation.dataset import simulator_hash

MOST_FRAMES = 299
Progress = Callable[[int, int], None]


def compare_with_real(
    folder: Path, out: Path, frames: int, seed: int, progress: Progress | None = None
) -> str:
    """Write `table.md`, `figures.json` and plots to `out`; the table. Raises `BagError` without data."""
    count = count_real(folder, min(frames, MOST_FRAMES))
    total = 2 * count
    real, real_crops = _gather(_counted(real_scenes(folder, count), 0, total, progress))
    simulated, simulated_crops = _gather(_counted(simulated_scenes(count, seed), count, total, progress))
    rows, aucs = rows_of(real, simulated), aucs_of(real_crops, simulated_crops)
    text = f"Simulator {simulator_hash()}, {count} scenes of each.\n\n" + table_of(rows, aucs)
    write_whole(out / "table.md", text)
    tree = {"simulator": simulator_hash(), "seed": seed, "scenes": count, "rows": [asdict(r) for r in rows]}
    write_json(out / "figures.json", {**tree, "auc": aucs})
    write_plots(out, real, simulated)
    return text


def _gather(scenes: Iterable[CompareScene]) -> tuple[Figures, Crops]:
    found, crops = Figures(), Crops()
    for number, scene in enumerate(scenes):
        add_scene(found, scene)
        add_crops(crops, scene, number)
    return found, crops


def _counted(
    scenes: Iterable[CompareScene], before: int, total: int, progress: Progress | None
) -> Iterator[CompareScene]:
    for number, scene in enumerate(scenes):
        yield scene
        if progress is not None:
            progress(before + number + 1, total)
