"""How much of a score is left under faults: retention as in MultiCorrupt, corruption error as in RoboBEV.

MET is a score in percent, here mAP or the sum without attributes (both papers take NDS, which needs
attributes). With c a fault and s its severity:

    RA_{c,s} = MET_{c,s} / MET_clean,   RA_c = mean over s,   mRA = mean over c
    RRA_c = sum_s MET_{c,s} / sum_s MET_{baseline,c,s} - 1,   mRRA = mean over c
    CE_c = sum_s (100 - MET_{c,s}) / sum_s (100 - MET_{baseline,c,s}),   mCE = mean over c

Sources: Beemelmanns et al. 2024, MultiCorrupt (RA, mRA, RRA, mRRA); Xie et al. 2023, RoboBEV (CE, mCE, with
1 - NDS as the error), after Hendrycks and Dietterich 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Scores = Mapping[str, Mapping[int, float]]
"""Score in percent by fault and severity."""


def retention(scores: Scores, clean: float) -> dict[str, float]:
    """RA_c of each fault, 1: nothing lost; NaN where the clean score is 0."""
    return {name: _mean([_ratio(value, clean) for value in of.values()]) for name, of in scores.items()}


def relative_retention(scores: Scores, baseline: Scores) -> dict[str, float]:
    """RRA_c of each fault that both have, above 0: better than the baseline under it."""
    return {
        name: _ratio(ours, theirs) - 1
        for name, (ours, theirs) in _common_sums(scores, baseline, lambda value: value).items()
    }


def corruption_error(scores: Scores, baseline: Scores) -> dict[str, float]:
    """CE_c of each fault that both have, below 1: better than the baseline under it."""
    return {
        name: _ratio(ours, theirs)
        for name, (ours, theirs) in _common_sums(scores, baseline, lambda value: 100 - value).items()
    }


def robustness_tree(scores: Scores, clean: float, baseline: Scores | None) -> dict[str, object]:
    """{ra, mra} and, with a baseline, {rra, mrra, ce, mce}; means over the faults that are there."""
    ra = retention(scores, clean)
    tree: dict[str, object] = {"clean": clean, "ra": ra, "mra": _mean(list(ra.values()))}
    if baseline is not None:
        rra, ce = relative_retention(scores, baseline), corruption_error(scores, baseline)
        tree |= {"rra": rra, "mrra": _mean(list(rra.values()))}
        tree |= {"ce": ce, "mce": _mean(list(ce.values()))}
    return tree


def _common_sums(
    scores: Scores, baseline: Scores, error: Callable[[float], float]
) -> dict[str, tuple[float, float]]:
    """Sums of an error over the severities that both sides have."""
    table = {}
    for name, of in scores.items():
        both = [severity for severity in of if severity in baseline.get(name, {})]
        if both:
            table[name] = (
                float(sum(error(of[s]) for s in both)),
                float(sum(error(baseline[name][s]) for s in both)),
            )
    return table


def _ratio(value: float, whole: float) -> float:
    return value / whole if whole else float("nan")


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
