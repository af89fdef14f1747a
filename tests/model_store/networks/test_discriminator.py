"""Gradients reach every weight; the stddev channel compares groups; fast paths equal plain ones."""

import pytest
import torch
from torch.nn import functional

from model_store.networks.discriminator import (
    Discriminator,
    DiscriminatorSizes,
    EqualisedConvolution,
    append_stddev,
)

SIZES = DiscriminatorSizes({8: 4, 4: 6})  # images of 16 px


@pytest.fixture
def discriminator() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(SIZES)


def test_every_weight_gets_a_gradient(discriminator: Discriminator) -> None:
    discriminator(torch.randn(8, 3, 16, 16)).square().sum().backward()
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_penalty_can_be_differentiated(discriminator: Discriminator) -> None:
    images = torch.randn(4, 3, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    slope.square().sum().backward()
    weight = discriminator.fromrgb.weight
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_downsampling_is_the_mean_of_the_plain_convolution() -> None:
    torch.manual_seed(1)
    convolution = EqualisedConvolution(3, 5, 3).double()
    with torch.no_grad():
        convolution.bias.copy_(torch.randn(5))  # type: ignore[union-attr]
        x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
        plain = functional.avg_pool2d(convolution(x, 1.7), 2)
        torch.testing.assert_close(convolution.downsample(x, 1.7), plain)


def test_features_halve_down_to_four(discriminator: Discriminator) -> None:
    shapes = [tuple(one.shape) for one in discriminator.features(torch.randn(2, 3, 16, 16))]
    assert shapes == [(2, 6, 4, 4)]


def test_stddev_sees_collapse_in_its_own_group_only() -> None:
    torch.manual_seed(2)
    varied, same = torch.randn(4, 3, 4, 4), torch.randn(1, 3, 4, 4).expand(4, -1, -1, -1)
    channel = append_stddev(torch.cat([varied, same]), group=4)[:, 3]  # [8, 4, 4]
    expected = (varied.var(dim=0, correction=0) + 1e-8).sqrt().mean()
    torch.testing.assert_close(channel[:4], expected.expand(4, 4, 4))
    assert channel[4:].max() < 1e-3


def test_logits_of_a_group_do_not_depend_on_other_groups(discriminator: Discriminator) -> None:
    images = torch.randn(8, 3, 16, 16)
    both, alone = discriminator(images), discriminator(images[:4])
    torch.testing.assert_close(both[:4], alone)
    other = torch.cat([images[:1], torch.randn(3, 3, 16, 16)])
    assert not torch.allclose(discriminator(other)[0], alone[0])
