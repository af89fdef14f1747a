"""GradCtrl as it was released, and as its paper writes it: what the default walk is compared with.

Both follow rows of the Jacobian and protect the top-k channels of other attributes (Algorithm 1).
They are twins for parity: the default is trajectory.walk. Released code: zikuncshelly/GradCtrl at
ea9b570, manipulator.grad_cam and manipulate.main.

Where the released code divides 0 by 0 (every channel masked, or a sigmoid so sure of itself that
the norm of its gradient is 0 in float32) it goes on with NaN; here that sample is refused and
stays where it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from editing.gradients import combined_rows
from editing.masking import normalise, thresholds
from editing.methods import EditSettings, Path, WalkReport, check_edit
from editing.scoring import StackedHeads, class_logits, class_probabilities
from editing.shapes import expect_shape
from editing.spaces import apply_deltas, edited_point, layer_mask

RELEASED_STEPS = 9
RELEASED_STEP_SIZE = 4 / 9  # L2 length; the released scripts walk 4.0 in all
PAPER_STEP_SIZE = 0.6  # factor of the raw gradient (section 4)


@dataclass(frozen=True)
class FixedWalk:
    """Points of a batch; a refused sample stays at the last point that it reached."""

    points: Tensor  # [N, T, C], T = steps + 1, the first is the start
    refused: Tensor  # [N], bool
    report: WalkReport


@dataclass(frozen=True)
class _MaskedRow:
    """The target's row at a point, and what the mask took from it."""

    row: Tensor  # [N, C], zero in protected channels
    protected: Tensor  # [N], int64, how many
    kept: Tensor  # [N], share of the row's length that is left


@dataclass(frozen=True)
class _Step:
    """Where a sample goes next."""

    delta: Tensor  # [N, C]
    usable: Tensor  # [N], bool, there is something to follow
    moves: Tensor  # [N], bool, it is not where it wants to be
    found: _MaskedRow


def probability_rows(heads: StackedHeads, points: Tensor, targets: Tensor) -> Tensor:
    """Gradients [N, A, C] of the probability of one class per attribute, targets [N, A].

    p_j (grad logit_j - sum over k of p_k grad logit_k). Saturates as autograd does in float32.
    """
    expect_shape("targets", targets, (points.shape[0], heads.num_attributes))
    probabilities = class_probabilities(heads, points)  # [N, A, K]
    chosen = targets.unsqueeze(2)
    own = probabilities.gather(2, chosen)  # [N, A, 1]
    one_hot = torch.zeros_like(probabilities).scatter(2, chosen, 1.0)
    return combined_rows(heads, points, own * (one_hot - probabilities))


def score_rows(heads: StackedHeads, points: Tensor, targets: Tensor) -> Tensor:
    """Row of the Jacobian [N, A, C] of one class per attribute (paper, Eq. 2), targets [N, A].

    A binary attribute has one logit: its first class follows it downwards (alpha's sign, Eq. 3).
    """
    expect_shape("targets", targets, (points.shape[0], heads.num_attributes))
    weights = torch.zeros_like(class_logits(heads, points)).scatter(2, targets.unsqueeze(2), 1.0)
    single = ~(heads.class_weight[:, 0] != 0).any(dim=1)  # [A], the first class has no logit
    weights[:, single, 1] = torch.where(targets[:, single] == 0, -1.0, weights[:, single, 1])
    return combined_rows(heads, points, weights)


def released_walk(
    heads: StackedHeads,
    start: Tensor,  # [N, C]
    attribute: Tensor,  # [N], int64
    target: Tensor,  # [N], int64
    top_k: Tensor,  # [N, A], int64
    steps: int = RELEASED_STEPS,
    step_size: float = RELEASED_STEP_SIZE,
) -> FixedWalk:
    """The released procedure: probability rows, masked first and THEN normalised; no stop."""

    def move(points: Tensor) -> _Step:
        found = _masked_row(heads, points, attribute, target, top_k, probability_rows)
        length = torch.linalg.vector_norm(found.row, dim=1, keepdim=True)  # its own underflow too
        usable = (length > 0) & torch.isfinite(length)
        unit = torch.where(usable, found.row / torch.where(usable, length, 1.0), 0.0)
        return _Step(step_size * unit, usable[:, 0], torch.ones_like(usable[:, 0]), found)

    return _repeat(start, steps, move)


def paper_walk(
    heads: StackedHeads,
    start: Tensor,  # [N, C]
    attribute: Tensor,  # [N], int64
    target: Tensor,  # [N], int64
    top_k: Tensor,  # [N, A], int64
    steps: int,
    step_size: float = PAPER_STEP_SIZE,
    stops: bool = True,
) -> FixedWalk:
    """The paper to the letter: z + 0.6 n with the raw row n of the scores, until the head's label
    is the target (Eq. 3, section 4.2); without `stops` every step is taken."""
    samples = torch.arange(start.shape[0], device=start.device)

    def move(points: Tensor) -> _Step:
        label = class_logits(heads, points).argmax(dim=2)[samples, attribute]
        found = _masked_row(heads, points, attribute, target, top_k, score_rows)
        usable = torch.isfinite(found.row).all(dim=1) & (found.row != 0).any(dim=1)
        moves = (label != target) if stops else torch.ones_like(usable)
        return _Step(step_size * found.row, usable | ~moves, moves, found)

    return _repeat(start, steps, move)


def overwrite_layers(latents: Tensor, points: Tensor, ranges: Tensor) -> Tensor:
    """Latents [N, T, L, C] whose layers in the range are one w each, as the released code does.

    latents: [N, L, C], points: [N, T, C], ranges: [N, 2]. The first frame is the start itself. A
    true w_plus loses what its layers differed in; apply_deltas keeps it.
    """
    samples, layers, channels = latents.shape
    expect_shape("points", points, (samples, None, channels))
    chosen = layer_mask(ranges, layers)[:, None, :, None]  # [N, 1, L, 1]
    moved = torch.where(chosen, points[:, :, None, :], latents[:, None])
    return torch.cat([latents[:, None], moved[:, 1:]], dim=1)


@dataclass(frozen=True)
class ReleasedGradCtrl:
    """The released procedure as a method; its masks and layers come from `settings`."""

    heads: StackedHeads
    settings: Sequence[EditSettings]  # one per attribute; their step size is not used
    name: str = "gradctrl-released"

    def path(self, latents: Tensor, attribute: int, target: Tensor, steps: int) -> Path:
        """`steps` steps of 4/9 from latents [N, L, C] to target [N]."""
        start, ranges, arguments = _batch(self.settings, latents, attribute, target, steps)
        walked = released_walk(self.heads, start, *arguments, steps)
        moved = overwrite_layers(latents, walked.points, ranges)
        return Path(moved, None, walked.refused, walked.report)


@dataclass(frozen=True)
class PaperGradCtrl:
    """The paper's literal procedure as a method; its masks and layers come from `settings`."""

    heads: StackedHeads
    settings: Sequence[EditSettings]  # one per attribute; their step size is not used
    name: str = "gradctrl-paper"
    stops: bool = True  # where the head's label is the target; else somebody else decides

    def path(self, latents: Tensor, attribute: int, target: Tensor, steps: int) -> Path:
        """At most `steps` steps from latents [N, L, C] to target [N]."""
        start, ranges, arguments = _batch(self.settings, latents, attribute, target, steps)
        walked = paper_walk(self.heads, start, *arguments, steps, stops=self.stops)
        deltas = walked.points - start[:, None]
        return Path(apply_deltas(latents, deltas, ranges), None, walked.refused, walked.report)


def _masked_row(
    heads: StackedHeads,
    points: Tensor,  # [N, C]
    attribute: Tensor,
    target: Tensor,
    top_k: Tensor,  # [N, A]
    rows: Callable[[StackedHeads, Tensor, Tensor], Tensor],
) -> _MaskedRow:
    """The target's row without the protected channels; other attributes: row of their class."""
    labels = class_logits(heads, points).argmax(dim=2)
    targets = labels.scatter(1, attribute[:, None], target[:, None])
    found = rows(heads, points, targets)  # [N, A, C]
    samples = torch.arange(points.shape[0], device=points.device)
    protected = last_ranked(found.abs(), top_k)
    row = found[samples, attribute]
    masked = row.masked_fill(protected, 0.0)
    return _MaskedRow(masked, protected.sum(dim=1), _share(masked, row))


def _share(part: Tensor, whole: Tensor) -> Tensor:  # [N] of [N, C]
    _, left = normalise(part)
    _, full = normalise(whole)
    return (left / full.clamp_min(torch.finfo(full.dtype).tiny)).clamp(max=1.0)


def last_ranked(saliency: Tensor, top_k: Tensor) -> Tensor:
    """Union [N, C] of exactly k channels per attribute, argsort(saliency)[-k:]; 0 is none.

    saliency: [N, A, C], top_k: [N, A]. (The released slice [-0:] would be all channels.)
    """
    samples, _, channels = saliency.shape
    union = torch.zeros((samples, channels), dtype=torch.bool, device=saliency.device)
    wanted = top_k.clamp(0, channels).unbind(dim=1)
    for of_attribute, counts in zip(saliency.unbind(dim=1), wanted, strict=True):
        if bool((counts > 0).any()):
            union |= _largest(of_attribute, counts)
    return union


def _largest(saliency: Tensor, counts: Tensor) -> Tensor:
    """The `counts` [N] largest of each row [N, C]; among equal ones the last, as a stable sort."""
    chosen = saliency >= thresholds(saliency, counts.tolist())[:, None]
    if torch.equal(chosen.sum(dim=1), counts):  # no ties, so that nothing need be sorted
        return chosen
    channels = saliency.shape[1]
    order = saliency.argsort(dim=1, stable=True)
    places = torch.arange(channels, device=order.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, places)
    return rank >= channels - counts[:, None]


def _repeat(start: Tensor, steps: int, move: Callable[[Tensor], _Step]) -> FixedWalk:
    """Take the steps that `move` gives for each point [N, C] until a sample finds none usable."""
    points = [start]
    refused = torch.zeros(start.shape[0], dtype=torch.bool, device=start.device)
    taken = torch.zeros_like(refused, dtype=torch.int64)
    most = taken.clone()
    least = start.new_ones(start.shape[0])
    for _ in range(steps):
        step = move(points[-1])
        refused = refused | ~step.usable
        going = step.moves & ~refused
        points.append(torch.where(going[:, None], points[-1] + step.delta, points[-1]))
        taken = taken + going
        most = torch.where(going, torch.maximum(most, step.found.protected), most)
        least = torch.where(going, torch.minimum(least, step.found.kept), least)
    return FixedWalk(torch.stack(points, dim=1), refused, WalkReport(taken, most, least))


def _batch(
    settings: Sequence[EditSettings], latents: Tensor, attribute: int, target: Tensor, steps: int
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Start [N, C], layer ranges [N, 2], and (attribute, target, top_k) of every sample."""
    check_edit(latents, attribute, target, steps, len(settings))
    samples, chosen = latents.shape[0], settings[attribute]
    ranges = target.new_tensor(chosen.layers).expand(samples, -1)
    top_k = target.new_tensor(chosen.top_k).expand(samples, -1)
    arguments = (torch.full_like(target, attribute), target, top_k)
    return edited_point(latents, ranges), ranges, arguments
