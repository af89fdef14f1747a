"""The walk: step along the masked Jacobian row, recomputed at every step (paper, Eq. 3).

Knows nothing about layers, names or images: a point is whatever the heads read. Every sample of a
batch has its own target, masks, steps and stop rule, and gives the same path as it would alone.
"""

from collections.abc import Callable
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

    def to(self, device: torch.device) -> "Trajectory":
        """The same paths on another device."""
        return self._with(lambda tensor: tensor.to(device))

    def first(self, samples: int) -> "Trajectory":
        """The paths of the first so many samples, in memory of their own."""
        return self._with(lambda tensor: tensor[:samples].clone())

    def _with(self, change: Callable[[Tensor], Tensor]) -> "Trajectory":
        return Trajectory(
            change(self.points),
            change(self.probabilities),
            change(self.steps_taken),
            change(self.masked_channels),
            change(self.kept_norm),
            change(self.refused),
        )


@dataclass(frozen=True)
class Step:
    """Where a batch stands, and what the step there took."""

    points: Tensor  # [N, C]
    reading: Reading
    probabilities: Tensor  # [N, A, K], in the order of the course
    moved: Tensor  # [N], bool
    refused: Tensor  # [N], bool, at this step or before
    masked: Tensor  # [N], int64, channels protected; 0 where nothing moved
    kept: Tensor  # [N], share of the gradient that was left; 1 where nothing moved
    # Held until the next step: glibc would else hand memory back to the kernel and ask for it again
    # (5,000 page faults a walk of 64 samples, which then takes twice as long).
    direction: Tensor | None  # [N, C], unit; at the start there is none

    @property
    def told(self) -> tuple[Tensor, ...]:
        """What a path keeps of it."""
        return self.points, self.probabilities, self.moved, self.masked, self.kept


TakeStep = Callable[[Course, Step, Tensor, Tensor], Step]
Walk = Callable[[StackedHeads, Tensor, WalkPlan], Trajectory]  # what `walk` is


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


def follow(course: Course, start: Tensor, take: TakeStep | None = None) -> Trajectory:
    """The paths of a course from start [N, C]; `take` does what `take_step` does, by default it."""
    plan, take = course.plan, take or take_step
    here = _begin(course, start)
    told = [here.told]
    ahead = torch.arange(course.outline.num_steps, device=start.device)
    for left in (plan.steps - ahead[:, None]).unbind():
        active = (left > 0) & ~here.refused
        if course.outline.stops:
            reached = here.probabilities[course.samples, plan.attribute, plan.target]
            active &= reached < plan.stop_probability
        if knows_none(active):
            break
        here = take(course, here, active, left)
        told.append(here.told)
    points, probabilities, moved, masked, kept = zip(*told, strict=True)
    return Trajectory(
        torch.stack(points, dim=1),
        course.in_model_order(torch.stack(probabilities, dim=1)),
        torch.stack(moved).sum(dim=0),
        torch.stack(masked).amax(dim=0),
        torch.stack(kept).amin(dim=0),
        here.refused,
    )


def take_step(course: Course, here: Step, active: Tensor, left: Tensor) -> Step:
    """The next step of the active samples [N], which may take `left` [N] more; the others stay."""
    ahead = bearing(course, here.reading)
    found = ahead.found
    refused = here.refused | (active & (found.kept_norm == 0))
    moved = active & ~refused
    length = torch.where(moved, _step_length(course, here.reading, ahead.slope, left), course.still)
    points = torch.addcmul(here.points, length[:, None], found.direction)
    reading = read_points(course.heads, points)
    return Step(
        points,
        reading,
        reading.probabilities,
        moved,
        refused,
        found.masked_channels * moved,
        torch.where(moved, found.kept_norm, course.whole),
        found.direction,
    )


def _begin(course: Course, start: Tensor) -> Step:
    """Where all samples stand before the first step."""
    reading = read_points(course.heads, start)
    nobody = torch.zeros_like(course.samples, dtype=torch.bool)
    none = torch.zeros_like(course.samples)
    return Step(start, reading, reading.probabilities, nobody, nobody, none, course.whole, None)


def _step_length(course: Course, reading: Reading, slope: Tensor, left: Tensor) -> Tensor:  # [N]
    """How far to go: the step size or, with a goal, this step's even share of the way to it.

    The share is what the slope of the target's log-odds along the direction predicts, so that a
    walk ends at its goal and its frames change evenly.
    """
    plan = course.plan
    if plan.goal is None:
        return plan.step_size
    now = log_odds_of(reading.logits[course.samples, plan.attribute], plan.target)
    share = (plan.goal - now).clamp_min(0) / left.clamp_min(1) / slope.clamp_min(_FLAT)
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
