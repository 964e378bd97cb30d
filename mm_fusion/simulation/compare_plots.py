"""Pictures of real beside simulated distributions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mm_fusion.simulation.compare_figures import BY_RANGE, RANGE_EDGES_M, Figures

COLOURS = {"real": "#3b6ea5", "simulated": "#d1742f"}


def write_plots(out: Path, real: Figures, simulated: Figures) -> list[Path]:
    """Write `by_range.png` and `distributions.png`; their paths."""
    import matplotlib

    matplotlib.use("Agg")
    out.mkdir(parents=True, exist_ok=True)
    both = {"real": real, "simulated": simulated}
    return [_by_range(out / "by_range.png", both), _distributions(out / "distributions.png", both)]


def _by_range(path: Path, both: dict[str, Figures]) -> Path:
    """Medians with quartiles over range."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7), layout="constrained")
    bands = list(zip(RANGE_EDGES_M[:-1], RANGE_EDGES_M[1:]))
    for axis, name in zip(axes.ravel(), BY_RANGE):
        for shift, (label, figures) in zip((-0.8, 0.8), both.items()):
            parts = [figures.of(name, low, high) for low, high in bands]
            known = [
                (0.5 * (low + high) + shift, part) for (low, high), part in zip(bands, parts) if len(part)
            ]
            if not known:
                continue
            middles = np.array([place for place, _ in known])
            quartiles = np.array([np.quantile(part, (0.25, 0.5, 0.75)) for _, part in known])
            spread = np.abs(quartiles[:, [0, 2]] - quartiles[:, 1:2]).T
            axis.errorbar(
                middles, quartiles[:, 1], spread, label=label, color=COLOURS[label], marker="o", capsize=3
            )
        axis.set(title=name.replace("_", " "), xlabel="range, m")
        if name.endswith("per_car"):
            axis.set_yscale("symlog", linthresh=1)
        axis.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _distributions(path: Path, both: dict[str, Figures]) -> Path:
    """Histograms of what has no range."""
    from matplotlib import pyplot

    names = [name for name in both["real"].values if name not in BY_RANGE]
    figure, axes = pyplot.subplots(-(-len(names) // 3), 3, figsize=(12, 9), layout="constrained")
    for axis, name in zip(axes.ravel(), names):
        samples = {label: figures.of(name) for label, figures in both.items()}
        joined = np.concatenate(list(samples.values()))
        low, high = (float(np.quantile(joined, q)) if len(joined) else 0.0 for q in (0.005, 0.995))
        edges = np.linspace(low, max(high, low + 1e-6), 40)
        for label, values in samples.items():
            weights = np.full(len(values), 1 / max(1, len(values)))
            axis.hist(
                values, edges.tolist(), weights=weights, histtype="step", label=label, color=COLOURS[label]
            )
        axis.set(title=name.replace("_", " "))
        axis.legend()
    for axis in axes.ravel()[len(names) :]:
        axis.axis("off")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
