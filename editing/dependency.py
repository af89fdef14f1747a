"""Attribute dependency: how far the other attributes move along with an edit (paper, section 4.2).

Works on margins, the log-odds of every class in an image: for a binary attribute the margin of its
second class is its logit. Knows nothing about images or methods.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from editing.shapes import expect_shape


@dataclass(frozen=True)
class Changes:
    """What moved since the start, in standard deviations of unedited images."""

    target: Tensor  # [N, T], signed: x = delta l_k / sigma_k
    others: (
        Tensor  # [N, T], mean over the other attributes of |delta l_i| / sigma_i; NaN without any
    )


@dataclass(frozen=True)
class DependencyCurve:
    """Mean AD over edits grouped by how far the target moved (paper, Fig. 7a)."""

    centers: Tensor  # [B], standard deviations
    dependency: Tensor  # [B], NaN where a group is empty
    counts: Tensor  # [B], int64


def spread(margins: Tensor) -> Tensor:
    """Standard deviations [A, K] of the margins [N, A, K] of unedited images; 1 for absent classes.

    A margin that never changes also gets 1: it has no scale.
    """
    deviation = margins.std(dim=0)
    return torch.where(torch.isfinite(deviation) & (deviation > 0), deviation, 1.0)


def changes(
    margins: Tensor,  # [N, T, A, K], the first frame is the start; NaN in frames not looked at
    sigma: Tensor,  # [A, K]
    attribute: int,
    target: Tensor,  # [N], int64
) -> Changes:
    """Movement of the target's margin, and of the margins of the classes the others started in."""
    samples, frames, attributes, classes = margins.shape
    expect_shape("sigma", sigma, (attributes, classes))
    expect_shape("target", target, (samples,))
    followed = margins[:, 0].argmax(dim=2)  # [N, A]
    followed[:, attribute] = target
    index = followed[:, None, :, None].expand(-1, frames, -1, 1)
    scale = sigma.expand(samples, -1, -1).gather(2, followed.unsqueeze(2)).squeeze(2)  # [N, A]
    followed_margins = margins.gather(3, index).squeeze(3)  # [N, T, A]
    moved = (followed_margins - followed_margins[:, :1]) / scale[:, None]
    others = torch.cat([moved[:, :, :attribute], moved[:, :, attribute + 1 :]], dim=2)
    return Changes(moved[:, :, attribute], others.abs().mean(dim=2))


def dependency_curve(
    change: Tensor,  # [M], of the target
    dependency: Tensor,  # [M], of the others
    edges: Tensor,  # [B + 1], ascending
) -> DependencyCurve:
    """Mean dependency per group of change; rows with a NaN are left out."""
    known = torch.isfinite(change) & torch.isfinite(dependency)
    change, dependency = change[known], dependency[known]
    groups = edges.shape[0] - 1
    group = torch.bucketize(change, edges, right=True) - 1  # [M]
    inside = (group >= 0) & (group < groups)
    counts = torch.bincount(group[inside], minlength=groups)
    sums = torch.bincount(group[inside], dependency[inside], minlength=groups)
    means = torch.where(counts > 0, sums / counts.clamp_min(1), torch.nan)
    return DependencyCurve((edges[:-1] + edges[1:]) / 2, means, counts)


def at_equal_change(
    change: Tensor,  # [N, T], of the target
    dependency: Tensor,  # [N, T], of the others
    level: float,  # standard deviations, above 0
) -> Tensor:  # [N]
    """The dependency when the target first has moved by `level`; NaN for edits that never did.

    Interpolated between the two frames around it, so that methods with other steps compare.
    """
    reached = change >= level  # NaN is no reach
    frame = reached.int().argmax(dim=1)  # the first one, 0 where there is none
    rows = torch.arange(change.shape[0], device=change.device)
    before = (frame - 1).clamp_min(0)
    low, high = change[rows, before], change[rows, frame]
    share = ((level - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
    value = torch.lerp(dependency[rows, before], dependency[rows, frame], share)
    return torch.where(reached.any(dim=1), value, torch.nan)
