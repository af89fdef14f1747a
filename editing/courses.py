"""Where a plan leads from a point: the target's Jacobian row, masked, off the protected rows.

With row noise the target's row is its mean over points nearby, for the row of a single point turns
at every unit that changes sign; what is protected is what changes here, so those rows stay. Pulls,
where a plan has some, counter what the walk is known to do to other attributes. Knows nothing
about the steps that were taken.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from editing.countering import counter
from editing.gradients import log_odds_rows_of, unit_lengths, weighted_rows_of
from editing.masking import MaskedDirection, mask_salient_channels
from editing.outlines import Outline, narrowed, outline_of, places_of
from editing.projection import project_off
from editing.scoring import Reading, StackedHeads
from editing.walk_plan import WalkPlan


@dataclass(frozen=True)
class Course:
    """A plan, and what does not change along its walks, all on the device of the heads."""

    outline: Outline
    heads: StackedHeads  # of all A attributes, in the order of the outline
    followed: StackedHeads  # the first B
    unit_lengths: Tensor | None  # [B, U], of `followed`; None: no sample has row noise
    places: Tensor  # [A], int64, of the attributes of the model in that order
    plan: WalkPlan  # in that order; top_k [N, P], editable 1 or 0
    samples: Tensor  # [N], 0..N - 1
    still: Tensor  # [N], 0.0, the length of no step
    whole: Tensor  # [N], 1.0, the share of a gradient that nothing was taken of

    def in_model_order(self, values: Tensor) -> Tensor:
        """Values [N, T, A, K] of attributes in the order of the model."""
        return values[:, :, self.places]


@dataclass(frozen=True)
class Bearing:
    """A direction and what it promises."""

    found: MaskedDirection
    slope: Tensor  # [N], log-odds of the target per latent unit along the direction


def course_of(heads: StackedHeads, plan: WalkPlan, outline: Outline | None = None) -> Course:
    """The course of a plan whose shapes fit the heads, by its own outline or one that holds it."""
    outline = outline or outline_of(plan)
    device = heads.hidden_weight.device
    order = torch.tensor(outline.order, device=device)
    ordered = heads.of(order)
    followed = ordered.first(outline.num_followed)
    narrow = narrowed(plan, outline).to(device)
    return Course(
        outline,
        ordered,
        followed,
        None if narrow.row_noise is None else unit_lengths(followed),
        places_of(order),
        narrow,
        torch.arange(len(plan.attribute), device=device),
        torch.zeros_like(narrow.step_size),
        torch.ones_like(narrow.step_size),
    )


def bearing(course: Course, reading: Reading) -> Bearing:
    """Where to go from points, as the heads of the course read them."""
    plan, followed = course.plan, course.followed.num_attributes
    own = Reading(reading.hidden[:, :followed], reading.logits[:, :followed])
    chosen = own.logits.argmax(dim=2)  # what a protected attribute is now must not change
    targets = chosen.scatter(1, plan.attribute[:, None], plan.target[:, None])
    noise = _unit_noise(course)
    whole = log_odds_rows_of(course.followed, own, targets, noise)  # [N, B, C]
    rows = whole if plan.editable is None else whole * plan.editable[:, None]
    row = rows[course.samples, plan.attribute]
    protected = rows[:, : course.outline.num_protected]
    found = mask_salient_channels(row, protected.abs(), plan.top_k)
    found = project_off(found, protected, plan.top_k > 0)
    if plan.pulls is not None:
        present = chosen[:, :, None, None].expand(-1, -1, 1, plan.pulls.shape[3])
        pulls = plan.pulls.gather(2, present)[:, :, 0].to(whole.dtype)  # [N, A, K]
        ways = weighted_rows_of(course.followed, own, pulls)
        found = counter(found, whole, ways, torch.linalg.vector_norm(pulls, dim=2))
        row = whole[course.samples, plan.attribute]
    return Bearing(found, (row * found.direction).sum(dim=1))


def _unit_noise(course: Course) -> Tensor | None:
    """[N, B, U], of the units of the attribute that each sample edits; 0 for the others."""
    plan, lengths = course.plan, course.unit_lengths
    if plan.row_noise is None or lengths is None:
        return None
    own = plan.row_noise[:, None].to(lengths.dtype)
    noise = own.new_zeros(len(own), len(lengths)).scatter(1, plan.attribute[:, None], own)
    return noise[:, :, None] * lengths
