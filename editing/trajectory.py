"""The walk: step along the masked Jacobian row, recomputed at every step (paper, Eq. 3).

Knows nothing about layers, names or images: a point is whatever the heads read. Every sample of a
batch has its own target, masks, steps and stop rule, and gives the same path as it would alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from editing.asking import knows_none, may_ask
from editing.courses import Course, bearing, course_of
from editing.errors import EditingError
from editing.masking import MaskedDirection
from editing.scoring import Reading, StackedHeads, log_odds_of, read_points
from editing.shapes import expect_shape
from editing.walk_plan import WalkPlan

LONGEST_STEP = 6.0  # step sizes, of a walk that aims at a goal
_FLAT = 1e-3  # log-odds per latent unit; on flatter ground a step has its full length


@dataclass(frozen=True)
class Trajectory:
    """The paths of a batch; after its last step a sample stays where it is."""

    points: Tensor  # [N, T, C], T up to the largest number of steps + 1; the first is the start
    probabilities: Tensor  # [N, T, A, K]
    steps_taken: Tensor  # [N], int64
    masked_channels: Tensor  # [N], int64, most channels protected in any step
    kept_norm: Tensor  # [N], smallest share of the gradient that was left in any step
    refused: Tensor  # [N], bool, nothing was left to move at the step after steps_taken

    def to(self, device: torch.device | str) -> "Trajectory":
        """The same paths on another device."""
        return Trajectory(
            self.points.to(device),
            self.probabilities.to(device),
            self.steps_taken.to(device),
            self.masked_channels.to(device),
            self.kept_norm.to(device),
            self.refused.to(device),
        )


def direction_at(heads: StackedHeads, points: Tensor, plan: WalkPlan) -> MaskedDirection:
    """The unit direction that `plan` takes from points [N, C].

    Of every protected attribute the top_k most salient channels are masked (Algorithm 1), then what
    is left is made orthogonal to its row, so that to first order it does not change at all.
    """
    course = course_of(heads, plan)
    return bearing(course, read_points(course.heads, points)).found


def walk(heads: StackedHeads, start: Tensor, plan: WalkPlan) -> Trajectory:
    """Paths of all samples from start [N, C], on the device of heads and start.

    With a plan on the CPU the host waits for nothing.
    """
    check_walk(heads, start, plan)
    return follow(course_of(heads, plan), start)


def follow(course: Course, start: Tensor) -> Trajectory:
    """The paths of a course from start [N, C]."""
    plan = course.plan
    reading = read_points(course.heads, start)
    points, probabilities = [start], [reading.probabilities]
    steps_taken = torch.zeros_like(plan.steps)
    masked, kept = [torch.zeros_like(plan.steps)], [torch.ones_like(plan.step_size)]
    refused = torch.zeros_like(plan.steps, dtype=torch.bool)
    stay = torch.zeros_like(plan.step_size)
    for step in range(course.outline.num_steps):
        active = (step < plan.steps) & ~refused
        if course.outline.stops:
            reached = probabilities[-1][course.samples, plan.attribute, plan.target]
            active &= reached < plan.stop_probability
        if knows_none(active):
            break
        ahead = bearing(course, reading)
        found = ahead.found
        refused = refused | (active & (found.kept_norm == 0))
        active = active & ~refused
        masked.append(found.masked_channels * active)
        kept.append(torch.where(active, found.kept_norm, kept[0]))
        length = torch.where(active, _step_length(course, reading, ahead.slope, step), stay)
        points.append(torch.addcmul(points[-1], length[:, None], found.direction))
        reading = read_points(course.heads, points[-1])
        probabilities.append(reading.probabilities)
        steps_taken = steps_taken + active
    return Trajectory(
        torch.stack(points, dim=1),
        course.in_model_order(torch.stack(probabilities, dim=1)),
        steps_taken,
        torch.stack(masked).amax(dim=0),
        torch.stack(kept).amin(dim=0),
        refused,
    )


def _step_length(course: Course, reading: Reading, slope: Tensor, step: int) -> Tensor:  # [N]
    """How far to go: the step size or, with a goal, this step's even share of the way to it.

    The share is what the slope of the target's log-odds along the direction predicts, so that a
    walk ends at its goal and its frames change evenly.
    """
    plan = course.plan
    if plan.goal is None:
        return plan.step_size
    now = log_odds_of(reading.logits[course.samples, plan.attribute], plan.target)
    left = (plan.steps - step).clamp_min(1)
    share = (plan.goal - now).clamp_min(0) / left / slope.clamp_min(_FLAT)
    aimed = torch.minimum(share, LONGEST_STEP * plan.step_size)
    return torch.where(plan.goal.isfinite(), aimed, plan.step_size)


def check_walk(heads: StackedHeads, start: Tensor, plan: WalkPlan) -> None:
    """EditingError unless a plan and its start [N, C] fit the heads.

    Whether numbers are finite is not asked of a device: there such a sample is refused.
    """
    samples = start.shape[0]
    if samples == 0:
        raise EditingError("start: expected at least one latent, got none")
    expect_shape("start", start, (samples, heads.num_channels))
    for name in ("attribute", "target", "steps", "step_size", "stop_probability"):
        expect_shape(name, getattr(plan, name), (samples,))
    expect_shape("top_k", plan.top_k, (samples, heads.num_attributes))
    if may_ask(start) and not bool(torch.isfinite(start).all()):
        raise EditingError("start: expected finite numbers, got NaN or infinity")
