"""export/evaluation/scores.py: three edits whose scores can be told by hand."""

import math
from dataclasses import replace

import pytest
import torch

from export.evaluation.cells import Cell
from export.evaluation.scores import mean_difference, mean_of, score_cell


def make_cell(arrived: list[bool]) -> Cell:
    """Edit 0 is clean, edit 1 changes the other attribute too, edit 2 goes nowhere."""
    start = torch.tensor([[2.0, -2.0], [3.0, -3.0]])
    clean = torch.tensor([[-2.0, 2.0], [3.0, -3.0]])
    dirty = torch.tensor([[-2.0, 2.0], [-3.0, 3.0]])
    margins = torch.stack([start.repeat(3, 1, 1), torch.stack([clean, dirty, start])], dim=1)
    return Cell(
        samples=torch.arange(3),
        target=torch.ones(3, dtype=torch.int64),
        margins=margins,
        frame=torch.tensor([1, 1, 1]),
        arrived=torch.tensor(arrived),
        refused=torch.tensor([False, False, True]),
        finite=torch.ones(3, dtype=torch.bool),
        walked=torch.tensor([1.0, 3.0, 50.0]),
        images=torch.zeros(3, 4, 4, 3, dtype=torch.uint8),
        second=torch.tensor([[[-1.0, 1.0]], [[1.0, -1.0]], [[1.0, -1.0]]]),
        identity=torch.tensor([0.9, 0.5, 1.0]),
    )


def test_scores_of_a_clean_a_dirty_and_a_failed_edit() -> None:
    cell = make_cell([True, True, False])
    one = score_cell("far", "m", 0, cell, torch.ones(2, 2), second_attribute=0)
    assert one.scores.success.tolist() == [1, 1, 0]
    assert one.scores.accuracy.tolist() == [1, 0, 0]
    assert one.scores.dependency[:2].tolist() == [0.0, 1.5]  # at 1 of 4 sigma: a quarter of 6
    assert one.scores.dependency[2].isnan()
    assert one.scores.confirmed[:2].tolist() == [1, 0]
    assert mean_of([one], "walked").mean == 2.0  # of edits that arrived
    assert mean_of([one], "identity").mean == pytest.approx(0.7)
    assert mean_of([one], "refused").mean == pytest.approx(1 / 3)


def test_a_refusal_after_the_arrival_lost_nothing() -> None:
    cell = replace(make_cell([True, True, False]), refused=torch.tensor([True, False, True]))
    one = score_cell("far", "m", 0, cell, torch.ones(2, 2), None)
    assert one.scores.refused.tolist() == [0, 0, 1]


def test_without_a_second_judge_nothing_is_confirmed() -> None:
    one = score_cell("far", "m", 0, make_cell([True] * 3), torch.ones(2, 2), None)
    assert math.isnan(mean_of([one], "confirmed").mean)


def test_differences_are_paired_by_start_and_attribute() -> None:
    good = score_cell("far", "good", 0, make_cell([True, True, False]), torch.ones(2, 2), 0)
    bad = score_cell("far", "bad", 0, make_cell([False, True, False]), torch.ones(2, 2), 0)
    other = score_cell("far", "bad", 1, make_cell([True] * 3), torch.ones(2, 2), 0)
    assert mean_difference([good], [bad], "success").mean == pytest.approx(1 / 3)
    assert mean_difference([good], [bad, other], "success").count == 3
    assert mean_difference([good], [other], "success").count == 0
