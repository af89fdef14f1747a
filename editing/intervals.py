"""Bootstrap intervals of means and of paired differences. Knows nothing about what is averaged."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RESAMPLES = 2000
COVERAGE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % percentile interval; all NaN without values."""

    mean: float
    low: float
    high: float
    count: int  # values behind it


def mean_interval(
    groups: Sequence[Tensor],  # each [N_g]; NaN are values that are not there
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean over groups of the groups' means; every group is resampled by itself.

    For a paired comparison give differences, one per pair. Groups without values are left out.
    """
    generator = torch.Generator().manual_seed(seed)
    means, drawn, count = [], [], 0
    for group in groups:
        values = group.double()
        values = values[~torch.isnan(values)]
        if not len(values):
            continue
        chosen = torch.randint(len(values), (resamples, len(values)), generator=generator)
        count += len(values)
        means.append(values.mean())
        drawn.append(values[chosen].mean(dim=1))  # [R]
    if not means:
        return Interval(torch.nan, torch.nan, torch.nan, 0)
    tail = (1 - COVERAGE) / 2
    bounds = torch.stack(drawn).mean(dim=0).quantile(torch.tensor([tail, 1 - tail]).double())
    return Interval(float(torch.stack(means).mean()), float(bounds[0]), float(bounds[1]), count)
