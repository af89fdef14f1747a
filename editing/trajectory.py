"""The walk: step along the masked Jacobian row, recomputed at every step (paper, Eq. 3).

Knows nothing about layers, names or images: a point is whatever the heads read. Every sample of a
batch has its own target, masks, steps and stop rule, and gives the same path as it would alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from editing.errors import EditingError
from editing.gradients import log_odds_rows
from editing.masking import MaskedDirection, mask_salient_channels
from editing.projection import project_off
from editing.scoring import StackedHeads, class_logits, class_probabilities, log_odds
from editing.shapes import expect_shape

NEVER_STOP = 2.0  # a stop probability that no class can reach
LONGEST_STEP = 6.0  # step sizes, of a walk that aims at a goal
_PROBE = 1e-2  # latent units, of the finite difference that gives a slope
_FLAT = 1e-3  # log-odds per latent unit; on flatter ground a step has its full length


@dataclass(frozen=True)
class WalkPlan:
    """What each sample of a batch wants."""

    attribute: Tensor  # [N], int64
    target: Tensor  # [N], int64, class of that attribute
    steps: Tensor  # [N], int64, most steps to take
    step_size: Tensor  # [N], L2 length of one step in latent units
    top_k: Tensor  # [N, A], int64, channels protected per attribute; 0 for the edited one
    stop_probability: (
        Tensor  # [N], stop at this probability of the target; NEVER_STOP for all steps
    )
    goal: Tensor | None = None  # [N], log-odds that the last step aims at; None or inf: full steps
    editable: Tensor | None = None  # [N, C], bool, channels that may move; None: all


@dataclass(frozen=True)
class Trajectory:
    """The paths of a batch; after its last step a sample stays where it is."""

    points: Tensor  # [N, T, C], T = largest number of steps + 1; the first is the start
    probabilities: Tensor  # [N, T, A, K]
    steps_taken: Tensor  # [N], int64
    masked_channels: Tensor  # [N], int64, most channels protected in any step
    kept_norm: Tensor  # [N], smallest share of the gradient that was left in any step
    refused: Tensor  # [N], bool, nothing was left to move at the step after steps_taken


def direction_at(heads: StackedHeads, points: Tensor, plan: WalkPlan) -> MaskedDirection:
    """The unit direction that `plan` takes from points [N, C].

    Of every protected attribute the top_k most salient channels are masked (Algorithm 1), then what
    is left is made orthogonal to its row, so that to first order it does not change at all.
    """
    probabilities = class_probabilities(heads, points)
    chosen = probabilities.argmax(dim=2)  # what a protected attribute is now must not change
    targets = chosen.scatter(1, plan.attribute[:, None], plan.target[:, None])
    rows = log_odds_rows(heads, points, targets)  # [N, A, C]
    if plan.editable is not None:
        rows = rows * plan.editable[:, None]
    samples = torch.arange(points.shape[0], device=points.device)
    found = mask_salient_channels(rows[samples, plan.attribute], rows.abs(), plan.top_k)
    return project_off(found, rows, plan.top_k > 0)


def walk(heads: StackedHeads, start: Tensor, plan: WalkPlan) -> Trajectory:
    """Paths of all samples from start [N, C]."""
    _check(heads, start, plan)
    samples = torch.arange(start.shape[0], device=start.device)
    points, probabilities = [start], [class_probabilities(heads, start)]
    steps_taken = torch.zeros_like(plan.steps)
    masked = torch.zeros_like(plan.steps)
    kept = torch.ones_like(plan.step_size)
    refused = torch.zeros_like(plan.steps, dtype=torch.bool)
    for step in range(int(plan.steps.max())):
        reached = probabilities[-1][samples, plan.attribute, plan.target]
        active = (step < plan.steps) & (reached < plan.stop_probability) & ~refused
        if not bool(active.any()):
            break
        found = direction_at(heads, points[-1], plan)
        refused = refused | (active & (found.kept_norm == 0))
        active = active & ~refused
        masked = torch.where(active, torch.maximum(masked, found.masked_channels), masked)
        kept = torch.where(active, torch.minimum(kept, found.kept_norm), kept)
        length = torch.where(active, _step_length(heads, points[-1], found, plan, step), 0.0)
        points.append(points[-1] + length[:, None] * found.direction)
        probabilities.append(class_probabilities(heads, points[-1]))
        steps_taken = steps_taken + active
    return Trajectory(
        torch.stack(points, dim=1),
        torch.stack(probabilities, dim=1),
        steps_taken,
        masked,
        kept,
        refused,
    )


def _step_length(
    heads: StackedHeads, points: Tensor, found: MaskedDirection, plan: WalkPlan, step: int
) -> Tensor:  # [N]
    """How far to go: the step size or, with a goal, this step's even share of the way to it.

    The share is what the slope of the target's log-odds along the direction predicts, so that a
    walk ends at its goal and its frames change evenly.
    """
    if plan.goal is None or not bool(plan.goal.isfinite().any()):
        return plan.step_size
    now = _margin(heads, points, plan)
    slope = (_margin(heads, points + _PROBE * found.direction, plan) - now) / _PROBE
    left = (plan.steps - step).clamp_min(1)
    share = (plan.goal - now).clamp_min(0) / left / slope.clamp_min(_FLAT)
    aimed = torch.minimum(share, LONGEST_STEP * plan.step_size)
    return torch.where(plan.goal.isfinite(), aimed, plan.step_size)


def _margin(heads: StackedHeads, points: Tensor, plan: WalkPlan) -> Tensor:
    """Log-odds [N] of the target."""
    samples = torch.arange(points.shape[0], device=points.device)
    return log_odds(class_logits(heads, points)[samples, plan.attribute])[samples, plan.target]


def _check(heads: StackedHeads, start: Tensor, plan: WalkPlan) -> None:
    samples = start.shape[0]
    if samples == 0:
        raise EditingError("start: expected at least one latent, got none")
    expect_shape("start", start, (samples, heads.num_channels))
    for name in ("attribute", "target", "steps", "step_size", "stop_probability"):
        expect_shape(name, getattr(plan, name), (samples,))
    expect_shape("top_k", plan.top_k, (samples, heads.num_attributes))
    if not bool(torch.isfinite(start).all()):
        raise EditingError("start: expected finite numbers, got NaN or infinity")
