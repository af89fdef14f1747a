"""StyleSpace (Wu et al., CVPR 2021): single style channels that control one attribute.

Knows nothing about generators: styles are flat vectors [S], and the caller says which channels
may be moved (ToRGB layers may not, section 3).
"""

import torch
from torch import Tensor

from editing.errors import EditingError
from editing.shapes import expect_shape

_FEWEST = 2  # positives: fewer have no standard deviation


def rank_channels(
    positives: Tensor,  # [P, S], styles of samples that show the attribute
    mean: Tensor,  # [S], of the population
    deviation: Tensor,  # [S], of the population
    movable: Tensor,  # [S], bool
    count: int,
) -> tuple[Tensor, Tensor]:  # [M] int64, best first; [M], -1 or 1
    """Channels in which the positives differ most, and most alike, from the population.

    z-scored by channel, ranked by |mean| / standard deviation of the positives (section 4.2); the
    sign is that of the mean. Channels that do not vary are left out.
    """
    channels = positives.shape[1]
    for name, tensor in (("mean", mean), ("deviation", deviation), ("movable", movable)):
        expect_shape(name, tensor, (channels,))
    if len(positives) < _FEWEST:
        raise EditingError(f"positives: expected {_FEWEST} or more, got {len(positives)}")
    varying = movable & (deviation > 0)
    scores = (positives - mean) / torch.where(varying, deviation, 1.0)  # [P, S]
    centre, spread = scores.mean(dim=0), scores.std(dim=0)
    usable = varying & (spread > 0)
    relevance = torch.where(usable, centre.abs() / torch.where(usable, spread, 1.0), -torch.inf)
    order = relevance.argsort(descending=True, stable=True)[: min(count, int(usable.sum()))]
    return order, torch.where(centre[order] < 0, -1.0, 1.0)


def channel_steps(
    channels: Tensor,  # [M], int64
    signs: Tensor,  # [M]
    deviation: Tensor,  # [S]
) -> Tensor:  # [S]
    """One standard deviation along each of the channels, zero elsewhere."""
    offsets = torch.zeros_like(deviation)
    offsets[channels] = signs.to(deviation) * deviation[channels]
    return offsets
