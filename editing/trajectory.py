"""The walk: step along the masked Jacobian row, recomputed at every step (paper, Eq. 3).

Knows nothing about layers, names or images: a point is whatever the heads read. Every sample of a
batch has its own target, masks, steps and stop rule, and gives the same path as it would alone.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from editing.errors import EditingError
from editing.gradients import log_odds_rows_of
from editing.masking import MaskedDirection, mask_salient_channels
from editing.projection import project_off
from editing.scoring import Reading, StackedHeads, log_odds, read_points
from editing.shapes import expect_shape

NEVER_STOP = 2.0  # a stop probability that no class can reach
LONGEST_STEP = 6.0  # step sizes, of a walk that aims at a goal
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


@dataclass(frozen=True)
class _Course:
    """What a plan's directions depend on: the heads of edited and of protected attributes."""

    heads: StackedHeads  # of B attributes
    index: Tensor  # [B], which of all
    plan: WalkPlan  # attribute and top_k count among the B
    samples: Tensor  # [N], 0..N - 1


@dataclass(frozen=True)
class _Bearing:
    """A direction and what it promises."""

    found: MaskedDirection
    slope: Tensor  # [N], log-odds of the target per latent unit along the direction


def direction_at(heads: StackedHeads, points: Tensor, plan: WalkPlan) -> MaskedDirection:
    """The unit direction that `plan` takes from points [N, C].

    Of every protected attribute the top_k most salient channels are masked (Algorithm 1), then what
    is left is made orthogonal to its row, so that to first order it does not change at all.
    """
    return _bearing(_course(heads, plan), read_points(heads, points)).found


def walk(heads: StackedHeads, start: Tensor, plan: WalkPlan) -> Trajectory:
    """Paths of all samples from start [N, C]."""
    _check(heads, start, plan)
    course = _course(heads, plan)
    reading = read_points(heads, start)
    points, probabilities = [start], [reading.probabilities]
    steps_taken = torch.zeros_like(plan.steps)
    masked = torch.zeros_like(plan.steps)
    kept = torch.ones_like(plan.step_size)
    refused = torch.zeros_like(plan.steps, dtype=torch.bool)
    for step in range(int(plan.steps.max())):
        reached = probabilities[-1][course.samples, plan.attribute, plan.target]
        active = (step < plan.steps) & (reached < plan.stop_probability) & ~refused
        if not bool(active.any()):
            break
        bearing = _bearing(course, reading)
        found = bearing.found
        refused = refused | (active & (found.kept_norm == 0))
        active = active & ~refused
        masked = torch.where(active, torch.maximum(masked, found.masked_channels), masked)
        kept = torch.where(active, torch.minimum(kept, found.kept_norm), kept)
        length = torch.where(active, _step_length(plan, reading, bearing.slope, step), 0.0)
        points.append(points[-1] + length[:, None] * found.direction)
        reading = read_points(heads, points[-1])
        probabilities.append(reading.probabilities)
        steps_taken = steps_taken + active
    return Trajectory(
        torch.stack(points, dim=1),
        torch.stack(probabilities, dim=1),
        steps_taken,
        masked,
        kept,
        refused,
    )


def _course(heads: StackedHeads, plan: WalkPlan) -> _Course:
    used = (plan.top_k > 0).any(dim=0)
    used[plan.attribute] = True
    index = used.nonzero()[:, 0]
    places = used.cumsum(dim=0) - 1  # of all attributes among the used ones
    narrow = replace(plan, attribute=places[plan.attribute], top_k=plan.top_k[:, index])
    samples = torch.arange(len(plan.attribute), device=plan.attribute.device)
    own = heads if len(index) == heads.num_attributes else heads.of(index)
    return _Course(own, index, narrow, samples)


def _bearing(course: _Course, reading: Reading) -> _Bearing:
    """Where to go from points whose reading by all heads is given."""
    plan = course.plan
    own = Reading(reading.hidden[:, course.index], reading.logits[:, course.index])
    chosen = own.logits.argmax(dim=2)  # what a protected attribute is now must not change
    targets = chosen.scatter(1, plan.attribute[:, None], plan.target[:, None])
    rows = log_odds_rows_of(course.heads, own, targets)  # [N, B, C]
    if plan.editable is not None:
        rows = rows * plan.editable[:, None]
    row = rows[course.samples, plan.attribute]
    found = mask_salient_channels(row, rows.abs(), plan.top_k)
    found = project_off(found, rows, plan.top_k > 0)
    return _Bearing(found, (row * found.direction).sum(dim=1))


def _step_length(plan: WalkPlan, reading: Reading, slope: Tensor, step: int) -> Tensor:  # [N]
    """How far to go: the step size or, with a goal, this step's even share of the way to it.

    The share is what the slope of the target's log-odds along the direction predicts, so that a
    walk ends at its goal and its frames change evenly.
    """
    if plan.goal is None or not bool(plan.goal.isfinite().any()):
        return plan.step_size
    samples = torch.arange(len(slope), device=slope.device)
    now = log_odds(reading.logits[samples, plan.attribute])[samples, plan.target]
    left = (plan.steps - step).clamp_min(1)
    share = (plan.goal - now).clamp_min(0) / left / slope.clamp_min(_FLAT)
    aimed = torch.minimum(share, LONGEST_STEP * plan.step_size)
    return torch.where(plan.goal.isfinite(), aimed, plan.step_size)


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
