"""Candidates matched with objects."""

from __future__ import annotations

import torch

from mm_fusion.training.refinement import match, overlaps


def test_a_candidate_matches_the_nearest_object_of_its_class() -> None:
    box = torch.zeros(1, 3, 8)
    box[0, :, 0] = torch.tensor([1.0, 1.0, 50.0])
    truth = torch.zeros(1, 2, 8)
    truth[0, :, 0] = torch.tensor([2.0, 1.1])
    found = {
        "class_index": torch.tensor([[0, 1, 0]]),
        "score": torch.tensor([[0.9, 0.8, 0.5]]),
        "cell": torch.tensor([[0, 1, 2]]),
    }
    targets = {
        "box": truth,
        "class_index": torch.tensor([[0, 1]]),
        "valid": torch.ones(1, 2),
        "region": torch.ones(1, 2, 2),
    }
    nearest, matched, counted = match(found, box, targets)
    assert nearest[0, :2].tolist() == [0, 1]
    assert matched.tolist() == [[1, 1, 0]]
    assert counted.tolist() == [[1, 1, 1]]
    targets["region"][0, 0, 0] = 0
    assert match(found, box, targets)[2].tolist() == [[0, 1, 1]]


def test_a_box_overlaps_itself_wholly() -> None:
    box = torch.tensor([[[1.0, 2.0, 0.5, 4.0, 2.0, 1.5, 0.6, 0.8]]])
    found = overlaps(box, box, torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1))
    torch.testing.assert_close(found, torch.ones(1, 1))


def test_each_candidate_is_compared_with_its_own_object_alone() -> None:
    box = torch.tensor([1.0, 2.0, 0.5, 4.0, 2.0, 1.5, 0.0, 1.0]).repeat(2, 3, 1)
    box[0, 1, 0] = 3.0  # half of its length away
    truth = torch.stack([box[:, 0], box[:, 0] + torch.tensor([40.0] + [0.0] * 7)], 1)
    nearest, matched = torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3)
    nearest[1, 1], matched[1, 2] = 1, 0
    found = overlaps(box, truth, nearest, matched)
    torch.testing.assert_close(found, torch.tensor([[1, 1 / 3, 1], [1, 0, 0]]))
    assert overlaps(box, truth, nearest, torch.zeros(2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
