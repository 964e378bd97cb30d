"""Average precision against cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.evaluation.kitti import KITTI, kitti_statistics
from mm_fusion.evaluation.matching import Pair
from mm_fusion.geometry.boxes import boxes_of, iou_3d

ONCE = np.ones(1, np.int64)


def cars(
    x: list[float], score: list[float] | None = None, name: str = "car", width: float = 2.0
) -> Detections:
    """Cars of 4 x 2 x 1.5 m that look ahead, at these x."""
    n = len(x)
    return make_detections(
        n,
        center=np.column_stack([x, np.zeros(n), np.full(n, 0.75)]) if n else np.zeros((0, 3)),
        size=np.tile([4.0, width, 1.5], (n, 1)),
        score=np.ones(n) if score is None else np.array(score),
        class_id=np.full(n, CLASSES.index(name)),
    )


def pair(truth: Detections, found: Detections, run: int = 0, **changes: np.ndarray) -> Pair:
    """A frame in which everything is inside the region and large in the image."""
    g, d = len(truth), len(found)
    named = {
        "truth_inside": np.ones(g, bool),
        "detections_inside": np.ones(d, bool),
        "truth_height_px": np.full(g, 100.0),
        "detections_height_px": np.full(d, 100.0),
    }
    extra = {"occlusion": changes.pop("occlusion", np.zeros(g))}
    return Pair(0, truth, extra, found, run=run, **{**named, **changes})


def ap(
    pairs: list[Pair], part: str = "kitti", metric: str = "3d", overlap: str = "0.5", level: str = "easy"
) -> float:
    return kitti_statistics(pairs)[(part, "car", metric, overlap, level)].value(ONCE)


def test_nothing_at_all_has_no_score() -> None:
    assert kitti_statistics([]) == {}
    assert kitti_statistics([pair(empty_detections(), cars([10], [0.9]))]) == {}


def test_truth_without_output_scores_zero() -> None:
    assert ap([pair(cars([10, 20]), empty_detections())]) == 0.0


def test_every_car_found_exactly_scores_everything() -> None:
    x = [10.0 * k for k in range(1, 81)]
    exact = [pair(cars(x), cars(x, list(np.linspace(0.9, 0.1, 80))))]
    assert ap(exact) == pytest.approx(100.0)
    assert ap(exact, "kitti_r11") == pytest.approx(100.0)
    assert ap(exact, "kitti_occlusion", "bev", "0.7") == pytest.approx(100.0)


def test_forty_matches_reach_only_39_of_40_positions() -> None:
    """KITTI's own quirk: 40 scores fill positions 0 to 39, and position 40 stays at zero."""
    x = [10.0 * k for k in range(1, 41)]
    assert ap([pair(cars(x), cars(x, list(np.linspace(0.9, 0.1, 40))))]) == pytest.approx(97.5)


def test_half_found_scores_half_at_40_positions_and_six_elevenths_at_11() -> None:
    """40 cars, 20 found: recall steps 0 to 20/40 have precision 1; of 1..40 that is 19 or 20, of 0,4,..40 it
    is 5.
    """
    x = [10.0 * k for k in range(1, 41)]
    half = [pair(cars(x), cars(x[:20], list(np.linspace(0.9, 0.1, 20))))]
    assert ap(half) == pytest.approx(100 * 19 / 40)
    assert ap(half, "kitti_r11") == pytest.approx(100 * 5 / 11)


def test_a_better_scored_false_alarm_halves_precision_at_the_first_step() -> None:
    """One car, one match below one false alarm: one threshold, precision 1/2, at recall position 0 alone."""
    one = [pair(cars([10]), cars([50, 10], [0.9, 0.8]))]
    assert ap(one) == 0.0
    assert ap(one, "kitti_r11") == pytest.approx(100 * 0.5 / 11)


def test_overlap_must_exceed_the_threshold() -> None:
    """Shifted by 1 of 4 m: IoU 3/5."""
    shifted = [pair(cars([10, 20]), cars([11, 21], [0.9, 0.8]))]
    assert ap(shifted, "kitti_r11", overlap="0.5") > 0
    assert ap(shifted, "kitti_r11", overlap="0.7") == 0


def test_a_second_box_on_one_car_is_a_false_alarm() -> None:
    x = [10.0 * k for k in range(1, 81)]
    single, double = cars(x, [0.5] * 80), cars(x + x, [0.5] * 160)
    assert ap([pair(cars(x), single)]) == pytest.approx(100.0)
    assert ap([pair(cars(x), double)]) == pytest.approx(50.0)


def test_ignored_truth_counts_neither_way() -> None:
    """A car that is too hard or outside is no miss, and the box on it is no false alarm."""
    truth, found = cars([10, 20, 30]), cars([10, 20, 30], [0.5, 0.9, 0.9])
    hard = pair(truth, found, occlusion=np.array([0, 3, 3]))
    small = pair(truth, found, truth_height_px=np.array([100.0, 10, 10]))
    outside = pair(truth, found, truth_inside=np.array([True, False, False]))
    alone = ap([pair(cars([10]), cars([10], [0.5]))], "kitti_r11")
    assert alone > 0
    for one in (hard, small, outside):
        assert ap([one], "kitti_r11") == pytest.approx(alone)
    assert ap([small], "kitti_occlusion") == pytest.approx(ap([pair(truth, found)], "kitti_occlusion"))


def test_ignored_detection_is_no_false_alarm_and_no_match() -> None:
    truth = cars([10])
    far_away = pair(truth, cars([10, 50], [0.5, 0.9]), detections_inside=np.array([True, False]))
    tiny = pair(truth, cars([10, 50], [0.5, 0.9]), detections_height_px=np.array([100.0, 5]))
    alone = ap([pair(truth, cars([10], [0.5]))], "kitti_r11")
    assert ap([far_away], "kitti_r11") == ap([tiny], "kitti_r11") == pytest.approx(alone)
    swallowed = pair(truth, cars([10], [0.5]), detections_height_px=np.array([5.0]))
    assert ap([swallowed], "kitti_r11") == 0


def test_difficulties_are_the_published_ones() -> None:
    assert [(d.occlusion, d.height_px) for d in KITTI] == [(0, 40), (1, 25), (2, 25)]
    truth, found = cars([10, 20]), cars([10], [0.9])
    occluded = [pair(truth, found, occlusion=np.array([0, 1]))]
    assert ap(occluded, "kitti_r11", level="easy") == pytest.approx(100 / 11)
    statistics = kitti_statistics(occluded)
    easy, moderate = (statistics[("kitti", "car", "3d", "0.5", level)] for level in ("easy", "moderate"))
    assert easy.counts.truths.tolist() == [1]  # type: ignore[attr-defined]
    assert moderate.counts.truths.tolist() == [2]  # type: ignore[attr-defined]


def test_a_neighbouring_class_counts_neither_way() -> None:
    truth = make_detections(
        2,
        center=np.array([[10, 0, 1], [30, 0, 1.0]]),
        size=np.tile([8.0, 3, 3], (2, 1)),
        class_id=np.array([CLASSES.index("truck"), CLASSES.index("bus")]),
    )
    found = make_detections(
        2,
        center=truth.center,
        size=truth.size,
        score=np.array([0.5, 0.9]),
        class_id=np.full(2, CLASSES.index("truck")),
    )
    key = ("kitti_r11", "truck", "3d", "0.5", "easy")
    assert kitti_statistics([pair(truth, found)])[key].value(ONCE) == pytest.approx(100 / 11)


def test_a_detection_inside_an_unknown_object_is_no_false_alarm() -> None:
    truth = make_detections(
        2,
        center=np.array([[10, 0, 0.75], [50, 0, 0.75]]),
        size=np.array([[4.0, 2, 1.5], [20, 20, 3]]),
        class_id=np.array([CLASSES.index("car"), CLASSES.index("unknown")]),
    )
    found = cars([10, 50], [0.5, 0.9])
    assert ap([pair(truth, found)], "kitti_r11") == pytest.approx(100 / 11)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31))
def test_a_run_drawn_twice_scores_like_its_frames_written_twice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = []
    for run in range(2):
        x = np.arange(6) * 10.0
        found = cars(list(x + rng.normal(0, 1, 6)), list(rng.permutation(6) / 6 + rng.uniform(0, 0.1)))
        pairs.append(pair(cars(list(x)), found, run))
    again = [*pairs, pairs[1]]
    weighted = kitti_statistics(pairs)[("kitti", "car", "bev", "0.5", "easy")].value(np.array([1, 2]))
    written = kitti_statistics(again)[("kitti", "car", "bev", "0.5", "easy")].value(np.array([1, 1]))
    assert weighted == pytest.approx(written)


def official(pairs: list[Pair], overlap: float, occlusion: int, height_px: float) -> float:
    """AP at 40 positions as KITTI's program goes about it: collect scores, take thresholds, count at each."""
    states = [_official_state(pair, occlusion, height_px) for pair in pairs]
    matched: list[float] = []
    for iou, score, ignored, hard in states:
        matched += _official_match(iou, score, ignored, hard, overlap, None)[2]
    total = sum(int((~hard).sum()) for _, _, _, hard in states)
    precision = np.zeros(41)
    for step, threshold in enumerate(_official_thresholds(sorted(matched, reverse=True), total)):
        counts = [_official_match(*state, overlap, threshold)[:2] for state in states]
        tp, fp = np.array(counts).sum(axis=0)
        precision[step] = tp / (tp + fp)
    return 100 * float(np.maximum.accumulate(precision[::-1])[::-1][1:].mean())


def _official_state(pair: Pair, occlusion: int, height_px: float) -> tuple[np.ndarray, ...]:
    iou = iou_3d(boxes_of(pair.detections), boxes_of(pair.truth))
    hard = ~pair.truth_inside | (pair.extra["occlusion"] > occlusion) | (pair.truth_height_px < height_px)
    small = ~pair.detections_inside | (pair.detections_height_px < height_px)
    return iou, pair.detections.score.astype(np.float64), small, hard


def _official_match(
    iou: np.ndarray,
    score: np.ndarray,
    ignored: np.ndarray,
    hard: np.ndarray,
    least: float,
    threshold: float | None,
) -> tuple[int, int, list[float]]:
    assigned = np.zeros(len(score), bool)
    tp, scores = 0, []
    for g in range(iou.shape[1]):
        best, value, spare = -1, -1.0, False
        for d in range(len(score)):
            if assigned[d] or iou[d, g] <= least or (threshold is not None and score[d] < threshold):
                continue
            if threshold is None and score[d] > value:
                best, value = d, score[d]
            elif threshold is not None and not ignored[d] and (iou[d, g] > value or spare):
                best, value, spare = d, iou[d, g], False
            elif threshold is not None and ignored[d] and best < 0:
                best, value, spare = d, -1.0, True
        if best >= 0:
            assigned[best] = True
            if not hard[g] and not ignored[best]:
                tp += 1
                scores.append(float(score[best]))
    used = np.ones(len(score), bool) if threshold is None else score >= threshold
    return tp, int((used & ~assigned & ~ignored).sum()), scores


def _official_thresholds(scores: list[float], total: int) -> list[float]:
    thresholds, recall = [], 0.0
    for i, score in enumerate(scores):
        left = (i + 1) / total
        right = (i + 2) / total if i < len(scores) - 1 else left
        if right - recall < recall - left and i < len(scores) - 1:
            continue
        thresholds.append(score)
        recall += 1 / 40
    return thresholds[:41]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31))
def test_random_scenes_score_as_by_kittis_own_steps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(12):
        g, extra = int(rng.integers(1, 8)), int(rng.integers(0, 5))
        x = np.sort(rng.uniform(0, 60, g))
        near = np.concatenate([x + rng.normal(0, 1, g), x[: extra // 2] + 0.3, rng.uniform(0, 60, extra)])
        d = len(near)
        pairs.append(
            pair(
                cars(list(x)),
                cars(list(near), list(np.round(rng.random(d), 2))),
                occlusion=rng.integers(0, 3, g).astype(float),
                truth_inside=rng.random(g) < 0.9,
                detections_inside=rng.random(d) < 0.9,
                truth_height_px=rng.uniform(10, 100, g),
                detections_height_px=rng.uniform(10, 100, d),
            )
        )
    statistics = kitti_statistics(pairs)
    for level, occlusion, height_px in (("easy", 0, 40), ("moderate", 1, 25), ("hard", 2, 25)):
        key = ("kitti", "car", "3d", "0.5", level)
        if any((~state[3]).any() for state in (_official_state(p, occlusion, height_px) for p in pairs)):
            expected = official(pairs, 0.5, occlusion, height_px)
            assert statistics[key].value(ONCE) == pytest.approx(expected), level
