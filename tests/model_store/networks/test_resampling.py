"""model_store/networks/resampling.py against sums written out pixel by pixel."""

import pytest
import torch
from torch import Tensor

from model_store.networks.resampling import (
    Padding,
    resample,
    resample_by_axis,
    upsample,
    upsample_padding,
)

DRAW = torch.Generator().manual_seed(3)


def by_hand(x: Tensor, fir: Tensor, up: int, down: int, padding: Padding, gain: float) -> Tensor:
    """Every output as a sum over the filter, in Python loops."""
    left, right, top, bottom = padding
    n, c, h, w = x.shape
    spread = torch.zeros(n, c, h * up, w * up)
    spread[:, :, ::up, ::up] = x
    height, width = h * up + top + bottom, w * up + left + right
    rows, columns = fir.shape
    y = torch.zeros(n, c, (height - rows) // down + 1, (width - columns) // down + 1)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            for a in range(rows):
                for b in range(columns):
                    s, t = i * down + a - top, j * down + b - left
                    if 0 <= s < h * up and 0 <= t < w * up:
                        y[:, :, i, j] += spread[:, :, s, t] * fir[rows - 1 - a, columns - 1 - b]
    return y * gain


@pytest.mark.parametrize(
    ("taps", "up", "down", "padding"),
    [
        (4, 1, 1, (1, 2, 1, 2)),
        (4, 2, 1, (2, 1, 2, 1)),
        (3, 1, 2, (1, 1, 1, 1)),
        (5, 2, 2, (3, 1, 0, 2)),
        (6, 4, 2, (5, 6, 5, 6)),
        (1, 2, 1, (0, 0, 0, 0)),
        (2, 2, 1, (-1, -2, -1, 0)),
    ],
)
def test_resampling_is_pad_spread_filter_and_keep(
    taps: int, up: int, down: int, padding: Padding
) -> None:
    x = torch.randn(2, 3, 6, 5, generator=DRAW)
    row = torch.randn(taps, generator=DRAW)
    fir = torch.randn(taps, taps, generator=DRAW)
    expected = by_hand(x, fir, up, down, padding, 1.5)
    torch.testing.assert_close(resample(x, fir, up, down, padding, 1.5), expected)
    expected = by_hand(x, torch.outer(row, row), up, down, padding, float(up**2))
    found = resample_by_axis(x, row, up, down, padding, float(up**2))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("taps", range(1, 9))
def test_upsampling_doubles_and_keeps_brightness(taps: int) -> None:
    fir = torch.rand(taps, taps, generator=DRAW)
    fir /= fir.sum()
    before, after = upsample_padding(taps)
    assert before + after == taps - 1
    x = torch.randn(1, 2, 5, 4, generator=DRAW)
    found = upsample(x, fir)
    expected = by_hand(x, fir, 2, 1, (before, after, before, after), 4)
    assert found.shape == (1, 2, 10, 8)
    torch.testing.assert_close(found, expected)


def test_the_binomial_filter_keeps_a_flat_image_flat_away_from_the_border() -> None:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    found = upsample(torch.ones(1, 1, 6, 6), torch.outer(taps, taps))
    torch.testing.assert_close(found[..., 2:-2, 2:-2], torch.ones(1, 1, 8, 8))


def test_other_dtypes_stay_what_they_are() -> None:
    x, taps = torch.randn(1, 2, 4, 4).to(torch.bfloat16), torch.ones(4) / 4
    assert resample(x, torch.outer(taps, taps)).dtype == torch.bfloat16
    assert upsample(x, torch.outer(taps, taps)).dtype == torch.bfloat16
    assert resample_by_axis(x, taps, 1, 1, (1, 1, 1, 1), 1.0).dtype == torch.bfloat16
