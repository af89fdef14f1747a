"""What the host knows of a plan before its walk begins. Knows nothing about heads or points.

It decides the shapes and the operations of a walk, so that no step has to ask for them. Plans on
the CPU are read without waiting, whatever device the walk is on.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from editing.walk_plan import NEVER_STOP, WalkPlan


@dataclass(frozen=True)
class Outline:
    """What two plans share whose walks are the same operations; it can be a key.

    Attributes are in another order than in the heads of the model: the P that some sample protects,
    then those that are only edited, B of both, then the others. So rows and readings of them are
    slices. With pulls B is A.
    """

    order: tuple[int, ...]  # A, all attributes
    num_protected: int  # P
    num_followed: int  # B
    num_steps: int  # most of any sample
    stops: bool  # whether any sample has a stop rule
    aims: bool  # whether any sample has a goal
    averages: bool  # whether any sample has row noise
    counters: bool  # whether any sample has pulls
    is_bounded: bool  # whether any sample has channels that may not move


def outline_of(plan: WalkPlan) -> Outline:
    """The outline of a plan with at least one sample."""
    protects = (plan.top_k > 0).any(dim=0)  # [A]
    edits = torch.zeros_like(protects)
    edits[plan.attribute] = True
    counters = plan.pulls is not None and bool(plan.pulls.any())
    order = (2 * protects.int() + edits.int()).argsort(descending=True, stable=True)
    return Outline(
        tuple(order.tolist()),
        int(protects.sum()),
        len(order) if counters else int((protects | edits).sum()),
        int(plan.steps.max()),
        stops=bool((plan.stop_probability < NEVER_STOP).any()),
        aims=plan.goal is not None and bool(plan.goal.isfinite().any()),
        averages=plan.row_noise is not None and bool((plan.row_noise > 0).any()),
        counters=counters,
        is_bounded=plan.editable is not None and not bool(plan.editable.all()),
    )


def whole_outline(plan: WalkPlan) -> Outline:
    """One that holds whatever a plan of as many attributes may want: all walks are one.

    Masks and projections of every attribute cost little where none is protected.
    """
    num_attributes = plan.top_k.shape[1]
    return Outline(
        tuple(range(num_attributes)),
        num_attributes,
        num_attributes,
        int(plan.steps.max()),
        stops=True,
        aims=True,
        averages=plan.row_noise is not None,
        counters=plan.pulls is not None,
        is_bounded=plan.editable is not None,
    )


def narrowed(plan: WalkPlan, outline: Outline) -> WalkPlan:
    """A plan in the order of its outline, top_k [N, P], without what no sample of it has.

    `editable` is 1 or 0, of the dtype of step_size: that multiplies faster.
    """
    order = torch.tensor(outline.order, device=plan.top_k.device)
    goal = plan.goal if outline.aims else None
    if outline.aims and goal is None:
        goal = torch.full_like(plan.step_size, torch.inf)
    pulls = plan.pulls if outline.counters else None
    editable = plan.editable if outline.is_bounded else None
    return replace(
        plan,
        attribute=places_of(order)[plan.attribute],
        top_k=plan.top_k[:, order[: outline.num_protected]],
        goal=goal,
        row_noise=plan.row_noise if outline.averages else None,
        pulls=None if pulls is None else pulls[:, order],
        editable=None if editable is None else editable.to(plan.step_size.dtype),
    )


def places_of(order: Tensor) -> Tensor:  # [A], int64
    """Where each attribute of the model stands in an order [A]."""
    return order.argsort()
