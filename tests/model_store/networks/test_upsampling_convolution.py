"""model_store/networks/upsampling_convolution.py: the convolution written out in two steps."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model_store.networks.resampling import resample
from model_store.networks.upsampling_convolution import UpsamplingConvolution

DRAW = torch.Generator().manual_seed(4)


def in_two_steps(x: Tensor, weight: Tensor, fir: Tensor) -> Tensor:
    """Spread with zeros, filter, then convolve (the kernel flipped: a true convolution)."""
    taps = fir.shape[0]
    before, after = (taps + 1) // 2 + 1, (taps - 2) // 2 + 1
    smooth = resample(x, fir, up=2, padding=(before, after, before, after), gain=4)
    return functional.conv2d(smooth, weight.flip((2, 3)))


def binomial() -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(taps, taps)


FILTERS = {
    "binomial": binomial(),
    "asymmetric": torch.outer(
        torch.tensor([0.1, 0.4, 0.3, 0.2]), torch.tensor([0.5, 0.2, 0.2, 0.1])
    ),
    "inseparable": torch.rand(4, 4, generator=DRAW) / 8,
    **{
        f"{taps} taps": torch.rand(taps, taps, generator=DRAW) / taps**2
        for taps in (1, 2, 3, 5, 6, 8)
    },
}


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("shape", [(1, 5, 4, 4), (3, 2, 8, 8), (2, 7, 5, 9)])
@pytest.mark.parametrize("name", FILTERS)
def test_it_equals_the_two_steps(name: str, shape: tuple[int, ...], channels_last: bool) -> None:
    weight = torch.randn(6, shape[1], 3, 3, generator=DRAW)
    x = torch.randn(shape, generator=DRAW)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    found = UpsamplingConvolution(weight, FILTERS[name])(x)
    expected = in_two_steps(x, weight, FILTERS[name])
    assert found.shape == (shape[0], 6, 2 * shape[2], 2 * shape[3])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_gradients_are_those_of_the_two_steps() -> None:
    x = torch.randn(2, 3, 4, 4, generator=DRAW, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 3, 3, generator=DRAW, dtype=torch.float64, requires_grad=True)
    fir = binomial().double()
    ours = torch.autograd.grad(UpsamplingConvolution(weight, fir)(x).square().sum(), (x, weight))
    theirs = torch.autograd.grad(in_two_steps(x, weight, fir).square().sum(), (x, weight))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
