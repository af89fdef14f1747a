"""Walks of latents: which channels heads read and move, over the layers of a latent.

Heads read either one layer's worth of channels, the mean of the layers that an edit moves, or all
layers side by side. Knows nothing about names or images.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from editing.masking import MaskedDirection
from editing.scoring import StackedHeads, class_logits
from editing.spaces import editable_channels, moved_latents, point_of
from editing.trajectory import Trajectory, Walk, direction_at, walk
from editing.walk_plan import WalkPlan


@dataclass(frozen=True)
class LatentWalk:
    """Where a batch went."""

    latents: Tensor  # [N, T, L, C], the first of T is the start
    trajectory: Trajectory


def walk_latents(
    heads: StackedHeads,
    latents: Tensor,  # [N, L, C]
    plan: WalkPlan,
    ranges: Tensor,  # [N, 2], int64, layers that each edit moves
    walk: Walk = walk,
) -> LatentWalk:
    """Paths of all samples; layers outside the ranges stay as they are."""
    plan = _within(heads, latents, plan, ranges)
    ranges = ranges.to(latents.device, non_blocking=True)
    start = point_of(latents, ranges, heads.num_channels)
    found = walk(heads, start, plan)
    return LatentWalk(moved_latents(latents, found.points, ranges), found)


def latent_direction(
    heads: StackedHeads, latents: Tensor, plan: WalkPlan, ranges: Tensor
) -> MaskedDirection:
    """The unit direction of the first step: of C channels, or of L * C where heads read them."""
    plan = _within(heads, latents, plan, ranges)
    start = point_of(latents, ranges.to(latents.device), heads.num_channels)
    return direction_at(heads, start, plan)


def latent_logits(heads: StackedHeads, latents: Tensor) -> Tensor:
    """Logits [N, A, K] of latents [N, L, C], all layers read."""
    everything = latents.new_tensor([0, latents.shape[1]]).long().expand(latents.shape[0], -1)
    return class_logits(heads, point_of(latents, everything, heads.num_channels))


def _within(heads: StackedHeads, latents: Tensor, plan: WalkPlan, ranges: Tensor) -> WalkPlan:
    return replace(plan, editable=editable_channels(latents, ranges, heads.num_channels))
