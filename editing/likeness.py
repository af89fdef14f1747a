"""How alike images, features and layers are. Knows nothing about networks or optimising."""

from collections.abc import Sequence

import torch
from torch import Tensor

from editing.shapes import expect_shape

_EPSILON = 1e-6


def feature_distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Mean over feature maps of their squared difference relative to `wanted`, [N], float32.

    found, wanted: [N, C, R, R] or [N, C] each. 0 is equal; about 2 is unrelated.
    """
    distances = []
    for one, other in zip(found, wanted, strict=True):
        expect_shape("found", one, tuple(other.shape))
        difference = (one.float() - other.float()).square().flatten(1).mean(dim=1)
        power = other.float().square().flatten(1).mean(dim=1)
        distances.append(difference / (power + _EPSILON))
    return torch.stack(distances).mean(dim=0)


def pixel_error(images: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error [N] of images [N, 3, H, W] in -1..1, as of pixels in 0..1."""
    expect_shape("images", images, tuple(targets.shape))
    return (images.clamp(-1, 1) - targets).square().mean(dim=(1, 2, 3)) / 4


def layer_spread(latents: Tensor) -> Tensor:
    """Mean squared distance [N] of layers from their mean, of latents [N, L, C]; 0 in W."""
    return (latents - latents.mean(dim=1, keepdim=True)).square().mean(dim=(1, 2))
