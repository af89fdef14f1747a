"""Numbers of every edit of a cell, and their means with intervals over cells.

Knows nothing about files or pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from editing import Changes, Interval, at_equal_change, changes, mean_interval
from export.evaluation.cells import Cell

LEVELS = {"near": 0.25, "near-own": 0.25}  # of change, where attribute dependency is compared
FAR_LEVEL = 1.0  # everywhere else; standard deviations


@dataclass(frozen=True)
class EditScores:
    """One number per edit, [N] each; rates as 0 or 1, NaN where there is no number."""

    success: Tensor  # arrived, by the protocol's rule
    accuracy: Tensor  # ... and every other attribute kept its class (paper, Table 1)
    dependency: Tensor  # attribute dependency at equal change of the target
    confirmed: Tensor  # of edits that arrived: the second judge also reads the target
    identity: Tensor  # of edits that arrived: cosine to the face before
    walked: Tensor  # of edits that arrived: L2 length of the path
    refused: Tensor  # had nothing to follow, and had not arrived before
    not_finite: Tensor


@dataclass(frozen=True)
class ScoredCell:
    """A cell with its scores."""

    protocol: str
    method: str
    attribute: int  # among the judged ones
    cell: Cell
    changes: Changes
    scores: EditScores


def score_cell(
    protocol: str,
    method: str,
    attribute: int,
    cell: Cell,
    sigma: Tensor,  # [A, K]
    second_attribute: int | None,  # where the second judge has this attribute
) -> ScoredCell:
    """Scores of every edit of a cell."""
    before, after = cell.margins[:, 0].argmax(dim=2), cell.last.argmax(dim=2)  # [N, A]
    same = before == after
    same[:, attribute] = True
    moved = changes(cell.margins, sigma, attribute, cell.target)
    arrived = cell.arrived
    level = LEVELS.get(protocol, FAR_LEVEL)
    scores = EditScores(
        success=arrived.float(),
        accuracy=(arrived & same.all(dim=1)).float(),
        dependency=at_equal_change(moved.target, moved.others, level),
        confirmed=_where(arrived, _confirmed(cell, second_attribute)),
        identity=_where(arrived, cell.identity),
        walked=_where(arrived, cell.walked),
        refused=(cell.refused & ~arrived).float(),
        not_finite=(~cell.finite).float(),
    )
    return ScoredCell(protocol, method, attribute, cell, moved, scores)


def mean_of(cells: Sequence[ScoredCell], score: str) -> Interval:
    """Mean over attributes of a score by its name."""
    return mean_interval([getattr(one.scores, score) for one in cells])


def mean_difference(
    first: Sequence[ScoredCell], second: Sequence[ScoredCell], score: str
) -> Interval:
    """Mean of first minus second over the same edits, of attributes that both have."""
    others = {one.attribute: one for one in second}
    differences = []
    for one in first:
        if (other := others.get(one.attribute)) is not None:
            assert torch.equal(one.cell.samples, other.cell.samples), "not the same starts"
            differences.append(getattr(one.scores, score) - getattr(other.scores, score))
    return mean_interval(differences)


def by_method(cells: Sequence[ScoredCell]) -> dict[str, list[ScoredCell]]:
    """Cells by method, in the order in which they come."""
    found: dict[str, list[ScoredCell]] = {}
    for one in cells:
        found.setdefault(one.method, []).append(one)
    return found


def _confirmed(cell: Cell, second_attribute: int | None) -> Tensor:
    if second_attribute is None or not cell.second.shape[1]:
        return torch.full((len(cell.frame),), torch.nan)
    return (cell.second[:, second_attribute].argmax(dim=1) == cell.target).float()


def _where(chosen: Tensor, values: Tensor) -> Tensor:
    return torch.where(chosen, values, torch.nan)
