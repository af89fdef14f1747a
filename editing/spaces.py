"""Latent spaces: how a walk in one space of C channels moves a latent of L layers.

Latents are [N, L, C] everywhere: L = 1 for z and w, num_ws for w_plus. Heads read either one
layer, C channels, or all of them side by side, L * C channels; a walk moves what its heads read.
Knows nothing about generators: L and C come from the tensors.
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


def point_of(latents: Tensor, ranges: Tensor, channels: int) -> Tensor:
    """What heads of so many channels read, [N, channels]: one layer's worth, or all layers."""
    if channels == latents.shape[2]:
        return edited_point(latents, ranges)
    expect_shape("latents", latents.flatten(1), (None, channels))
    return latents.flatten(1)


def editable_channels(latents: Tensor, ranges: Tensor, channels: int) -> Tensor | None:
    """Bool [N, channels] of the layers in the range; None where one layer stands for all."""
    if channels == latents.shape[2]:
        return None
    layers = layer_mask(ranges, latents.shape[1])  # [N, L]
    return layers.repeat_interleave(latents.shape[2], dim=1)


def moved_latents(latents: Tensor, points: Tensor, ranges: Tensor) -> Tensor:
    """Latents [N, T, L, C] of a walk's points [N, T, P], of which the first is the start."""
    deltas = points - points[:, :1]
    if points.shape[2] == latents.shape[2]:
        return apply_deltas(latents, deltas, ranges)
    return latents[:, None] + deltas.unflatten(2, latents.shape[1:])


def widen(weight: Tensor, num_layers: int) -> Tensor:
    """Weights [U, L * C] that read the mean of all layers as weights [U, C] read one."""
    return weight.repeat(1, num_layers) / num_layers
