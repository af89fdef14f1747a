"""Straight lines: the walk of every baseline, whose direction is the same everywhere.

InterFaceGAN and GANSpace move latents, StyleSpace moves the styles that layers make of them. Knows
nothing about where directions come from. A zero direction is refused, never divided by.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from editing.errors import UnsupportedMethodError
from editing.methods import Path, check_edit
from editing.shapes import expect_shape
from editing.spaces import apply_deltas


def straight_path(
    latents: Tensor,  # [N, L, C]
    directions: Tensor,  # [N, C], unit length; zero where there is none
    ranges: Tensor,  # [N, 2], half-open layer ranges
    step_size: Tensor,  # [N], L2 length, latent units
    steps: Tensor,  # [N], int64; T is the largest + 1, and a sample stays after its own
) -> Path:
    """w + t a n on the layers of the range, every sample by itself."""
    samples, _, channels = latents.shape
    expect_shape("directions", directions, (samples, channels))
    distance = _counts(steps) * step_size[:, None]  # [N, T]
    deltas = distance[:, :, None] * directions[:, None]
    return Path(apply_deltas(latents, deltas, ranges), None, _is_zero(directions))


def style_path(
    latents: Tensor,  # [N, L, C]
    directions: Tensor,  # [N, S], the offset of one unit; zero where there is none
    step_size: Tensor,  # [N], units per step
    steps: Tensor,  # [N], int64
) -> Path:
    """s + t a n in style space; the latents stay."""
    samples = latents.shape[0]
    expect_shape("directions", directions, (samples, None))
    distance = _counts(steps) * step_size[:, None]  # [N, T]
    offsets = distance[:, :, None] * directions[:, None]
    frames = latents[:, None].expand(-1, offsets.shape[1], -1, -1)
    return Path(frames, offsets, _is_zero(directions))


@dataclass(frozen=True)
class StraightWalk:
    """InterFaceGAN or GANSpace: one direction per class of each attribute that has any."""

    name: str
    directions: Sequence[Tensor | None]  # per attribute [K, C]
    layers: Sequence[Tensor | None]  # per attribute [K, 2], int64, half-open ranges
    step_sizes: Sequence[float]  # per attribute, L2 length
    counts_layers: bool = False  # whether the length is of all moved layers together

    def path(self, latents: Tensor, attribute: int, target: Tensor, steps: int) -> Path:
        """The line from latents [N, L, C] towards target [N]."""
        check_edit(latents, attribute, target, steps, len(self.directions))
        found, layers = self.directions[attribute], self.layers[attribute]
        if found is None or layers is None:
            raise UnsupportedMethodError(f"{self.name}: attribute {attribute} has no direction")
        size = latents.new_full((latents.shape[0],), self.step_sizes[attribute])
        if self.counts_layers:
            size = size / layers[target].diff(dim=1)[:, 0].sqrt()
        count = torch.full_like(target, steps)
        return straight_path(latents, found[target], layers[target], size, count)


@dataclass(frozen=True)
class StyleWalk:
    """StyleSpace: one combination of style channels per class of each attribute that has any."""

    name: str
    directions: Sequence[Tensor | None]  # per attribute [K, S], one standard deviation per channel
    step_sizes: Sequence[float]  # per attribute, standard deviations

    def path(self, latents: Tensor, attribute: int, target: Tensor, steps: int) -> Path:
        """The line in style space from the styles of latents [N, L, C] towards target [N]."""
        check_edit(latents, attribute, target, steps, len(self.directions))
        found = self.directions[attribute]
        if found is None:
            raise UnsupportedMethodError(f"{self.name}: attribute {attribute} has no direction")
        size = latents.new_full((latents.shape[0],), self.step_sizes[attribute])
        return style_path(latents, found[target], size, torch.full_like(target, steps))


def _counts(steps: Tensor) -> Tensor:
    """Steps taken [N, T] at each frame: 0, 1, ... and then no more than the sample's own."""
    longest = int(steps.max()) if len(steps) else 0
    frames = torch.arange(longest + 1, device=steps.device)
    return torch.minimum(frames[None], steps[:, None])


def _is_zero(directions: Tensor) -> Tensor:
    """Bool [N] of directions [N, ...]."""
    return ~(directions != 0).any(dim=1)
