"""editing/intervals.py: intervals against the normal theory they approximate."""

import math

import torch

from editing import mean_interval


def test_the_interval_of_a_rate_is_about_the_normal_one() -> None:
    values = (torch.arange(400) % 4 == 0).float()
    found = mean_interval([values])
    half = 1.96 * math.sqrt(0.25 * 0.75 / 400)
    assert found.mean == 0.25
    assert abs(found.high - 0.25 - half) < 0.2 * half
    assert abs(0.25 - found.low - half) < 0.2 * half


def test_pairing_narrows_the_interval() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(300, generator=generator)
    first, second = start + 0.1, start + 0.05 * torch.randn(300, generator=generator)
    paired = mean_interval([first - second])
    assert paired.low > 0
    apart = mean_interval([first]), mean_interval([second])
    assert apart[0].low < apart[1].high


def test_groups_weigh_the_same_and_nan_is_nothing() -> None:
    found = mean_interval([torch.zeros(90), torch.tensor([1.0, 1.0, torch.nan]), torch.empty(0)])
    assert found.mean == 0.5
    assert found.count == 92


def test_nothing_gives_nan_and_a_seed_gives_the_same_again() -> None:
    assert math.isnan(mean_interval([torch.tensor([torch.nan])]).mean)
    values = torch.randn(50, generator=torch.Generator().manual_seed(1))
    assert mean_interval([values], seed=3) == mean_interval([values], seed=3)
    assert mean_interval([values], seed=3) != mean_interval([values], seed=4)
