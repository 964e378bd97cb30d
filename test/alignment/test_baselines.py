from __future__ import annotations

import numpy as np

from mm_fusion.alignment.baselines import FROZEN_REPEATS, Baseline, FrozenWatch, fingerprint_of, ramp


def baseline(parts: int = 1) -> Baseline:
    return Baseline(parts, warm_up=5, least=2.0, low=0.3, smooth=0.5)


def test_nothing_is_judged_before_it_is_known_or_where_there_is_too_little() -> None:
    watched = baseline(2)
    for _ in range(5):
        assert watched.share(np.array([100.0, 1.0])).tolist() == [1.0, 1.0]
    assert watched.share(np.array([0.0, 0.0]))[1] == 1.0


def test_a_loss_shows_stays_and_is_over_when_the_amount_is_back() -> None:
    watched = baseline()
    for _ in range(50):
        share = watched.share(np.array([100.0]))
    assert share[0] == 1.0
    for _ in range(300):
        share = watched.share(np.array([0.0]))
    assert share[0] < 0.01
    for _ in range(20):
        share = watched.share(np.array([100.0]))
    assert share[0] > 0.95


def test_a_scene_with_half_the_amount_becomes_usual() -> None:
    watched = baseline()
    for _ in range(50):
        watched.share(np.array([100.0]))
    for _ in range(500):
        share = watched.share(np.array([50.0]))
    assert share[0] > 0.98


def test_ramp_is_linear_between_its_ends() -> None:
    assert ramp(np.array([0.0, 0.1, 0.2, 0.3, 1.0]), 0.1, 0.3).tolist() == [
        0.0,
        0.0,
        0.5000000000000001,
        1.0,
        1.0,
    ]


def test_frozen_is_the_same_payload_while_stamps_advance() -> None:
    watch = FrozenWatch()
    assert not watch.observe(0, 7)
    assert not watch.moved_on(0) and watch.moved_on(1)
    assert [watch.observe(stamp, 7) for stamp in range(1, FROZEN_REPEATS + 1)][-1]
    assert not watch.observe(99, 8)
    assert not any(watch.observe(100 + stamp, None) for stamp in range(10))


def test_a_fingerprint_tells_values_and_lengths_apart() -> None:
    points = np.arange(9000, dtype=np.float32).reshape(-1, 3)
    assert fingerprint_of(points[:0]) is None
    assert fingerprint_of(points) == fingerprint_of(points.copy())
    assert fingerprint_of(points) != fingerprint_of(points[:-1])
    assert fingerprint_of(points) != fingerprint_of(points + np.float32(0.5))
