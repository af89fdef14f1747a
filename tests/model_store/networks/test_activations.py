"""model_store/networks/activations.py: in place where no gradient needs the input, else not."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model_store.networks.activations import activate, scale_channels

DRAW = torch.Generator().manual_seed(0)
X = torch.randn(2, 3, 4, 5, generator=DRAW)
SCALE = torch.randn(2, 3, generator=DRAW)
BIAS = torch.randn(3, 1, 1, generator=DRAW)
NOISE = torch.randn(4, 5, generator=DRAW)


def written_out(x: Tensor, noise: Tensor | None, clamp: float | None) -> Tensor:
    y = x * SCALE[:, :, None, None] + BIAS
    y = functional.leaky_relu(y if noise is None else y + noise, 0.2)
    return y if clamp is None else y.clamp(-clamp, clamp)


@pytest.mark.parametrize("noise", [None, NOISE])
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_both_ways_compute_the_same(noise: Tensor | None, clamp: float | None) -> None:
    expected = written_out(X, noise, clamp)
    x = X.clone()
    torch.testing.assert_close(activate(x, SCALE, BIAS, noise, clamp), expected)
    assert torch.equal(x, X)
    with torch.no_grad():
        found = activate(x, SCALE, BIAS, noise, clamp)
    torch.testing.assert_close(found, expected)
    assert found.data_ptr() == x.data_ptr()


def test_scaling_overwrites_without_gradients_only() -> None:
    x = X.clone()
    scaled = scale_channels(x, SCALE)
    torch.testing.assert_close(scaled, X * SCALE[:, :, None, None])
    assert torch.equal(x, X)
    with torch.no_grad():
        assert torch.equal(scale_channels(x, SCALE), x)
    assert torch.equal(x, scaled)


def test_gradients_reach_everything() -> None:
    inputs = [tensor.double().requires_grad_() for tensor in (X, SCALE, BIAS, NOISE)]
    x, scale, bias, noise = inputs
    assert torch.autograd.gradcheck(
        lambda x, scale, bias, noise: activate(x, scale, bias, noise, 0.5),
        (x, scale, bias, noise),
    )
