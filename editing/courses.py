"""Where a plan leads from a point: the target's Jacobian row, masked, off the protected rows.

Knows nothing about the steps that were taken.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from editing.gradients import log_odds_rows_of
from editing.masking import MaskedDirection, mask_salient_channels
from editing.projection import project_off
from editing.scoring import Reading, StackedHeads
from editing.walk_plan import NEVER_STOP, WalkPlan


@dataclass(frozen=True)
class Course:
    """A plan, and what does not change along its walks.

    Attributes are in another order than in the heads of the model: the P that some sample protects,
    then those that are only edited, B of both, then the others. So rows and readings of them are
    slices.
    """

    heads: StackedHeads  # of all A attributes, in this order
    followed: StackedHeads  # the first B
    order: Tensor  # [A], int64, of all attributes
    num_protected: int  # P
    plan: WalkPlan  # in this order; top_k [N, P]
    samples: Tensor  # [N], 0..N - 1
    editable: Tensor | None  # [N, 1, C], 1 or 0; None: all channels may move
    stops: bool  # whether any sample has a stop rule
    aims: bool  # whether any sample has a goal

    def in_model_order(self, values: Tensor) -> Tensor:
        """Values [N, T, A, K] of attributes in the order of the model."""
        return values[:, :, self.order.argsort()]


@dataclass(frozen=True)
class Bearing:
    """A direction and what it promises."""

    found: MaskedDirection
    slope: Tensor  # [N], log-odds of the target per latent unit along the direction


def course_of(heads: StackedHeads, plan: WalkPlan) -> Course:
    """The course of a plan whose shapes fit the heads."""
    protects = (plan.top_k > 0).any(dim=0)  # [A]
    edits = torch.zeros_like(protects)
    edits[plan.attribute] = True
    order = (2 * protects.int() + edits.int()).argsort(descending=True, stable=True)
    num_protected, num_followed = int(protects.sum()), int((protects | edits).sum())
    ordered = heads.of(order)
    narrow = replace(
        plan,
        attribute=order.argsort()[plan.attribute],
        top_k=plan.top_k[:, order[:num_protected]],
    )
    return Course(
        ordered,
        ordered.first(num_followed),
        order,
        num_protected,
        narrow,
        torch.arange(len(plan.attribute), device=plan.attribute.device),
        _limits(plan, heads.hidden_weight.dtype),
        stops=bool((plan.stop_probability < NEVER_STOP).any()),
        aims=plan.goal is not None and bool(plan.goal.isfinite().any()),
    )


def bearing(course: Course, reading: Reading) -> Bearing:
    """Where to go from points, as the heads of the course read them."""
    plan, followed = course.plan, course.followed.num_attributes
    own = Reading(reading.hidden[:, :followed], reading.logits[:, :followed])
    chosen = own.logits.argmax(dim=2)  # what a protected attribute is now must not change
    targets = chosen.scatter(1, plan.attribute[:, None], plan.target[:, None])
    rows = log_odds_rows_of(course.followed, own, targets)  # [N, B, C]
    if course.editable is not None:
        rows = rows * course.editable
    row = rows[course.samples, plan.attribute]
    protected = rows[:, : course.num_protected]
    found = mask_salient_channels(row, protected.abs(), plan.top_k)
    found = project_off(found, protected, plan.top_k > 0)
    return Bearing(found, (row * found.direction).sum(dim=1))


def _limits(plan: WalkPlan, dtype: torch.dtype) -> Tensor | None:
    if plan.editable is None or bool(plan.editable.all()):
        return None
    return plan.editable[:, None].to(dtype)
