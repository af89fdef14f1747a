"""Latent spaces: how a walk in one space of C channels moves a latent of L layers.

Latents are [N, L, C] everywhere: L = 1 for z and w, num_ws for w_plus. Knows nothing about
generators: L and C come from the tensors.
"""

import torch
from torch import Tensor

from editing.shapes import expect_shape


def layer_mask(ranges: Tensor, num_layers: int) -> Tensor:
    """Bool [N, L] of half-open layer ranges [N, 2]."""
    layers = torch.arange(num_layers, device=ranges.device)
    return (layers >= ranges[:, :1]) & (layers < ranges[:, 1:])


def edited_point(latents: Tensor, ranges: Tensor) -> Tensor:
    """The point [N, C] where a walk starts: the mean of the layers that it will edit.

    latents: [N, L, C]; ranges: [N, 2]. For w repeated over the layers this is w itself.
    """
    samples, layers, _ = latents.shape
    expect_shape("ranges", ranges, (samples, 2))
    chosen = layer_mask(ranges, layers).unsqueeze(2).to(latents.dtype)
    return (latents * chosen).sum(dim=1) / chosen.sum(dim=1)


def apply_deltas(latents: Tensor, deltas: Tensor, ranges: Tensor) -> Tensor:
    """Latents [N, T, L, C] after each delta [N, T, C], added to the layers of the range only.

    latents: [N, L, C]; ranges: [N, 2]. The released code overwrites the layers with one w, which
    loses a true w_plus latent; adding keeps it.
    """
    samples, layers, channels = latents.shape
    expect_shape("deltas", deltas, (samples, None, channels))
    chosen = layer_mask(ranges, layers)[:, None, :, None].to(latents.dtype)  # [N, 1, L, 1]
    return latents[:, None] + deltas[:, :, None, :] * chosen
