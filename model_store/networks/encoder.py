"""The encoder: a small convolutional network from an image to the latent that may have made it.

Knows nothing about generators, training or files: its sizes are read from its tensors. Latents come
out in units of the generator's latents, because the mean and spread of those are among its tensors.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from editing import expect_shape
from model_store.errors import CheckpointError

LEAK = 0.2
_KERNEL = 3
_UNSHUFFLE = 2  # 2x2 pixels side by side as channels, as in the discriminator
_COARSEST = 4  # side of the last features


@dataclass(frozen=True)
class EncoderSizes:
    """Everything that its tensors have to fit."""

    latent: tuple[int, int]  # [L, C]
    channels: tuple[int, ...] = (32, 48, 64, 80)  # from half the input side down to 4
    squeezed: int = 24  # channels of the last features before they are flattened
    hidden: int = 96

    @property
    def side(self) -> int:
        """Height and width of its input; other images are resized."""
        return _UNSHUFFLE * _COARSEST << (len(self.channels) - 1)


class SeparableBlock(nn.Module):
    """Adds what a depthwise and a pointwise convolution find."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, _KERNEL, padding=1, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W], unchanged
        """Input plus the addition."""
        added = self.pointwise(functional.leaky_relu(self.depthwise(x), LEAK))
        return functional.leaky_relu(x + added, LEAK)


class Encoder(nn.Module):
    """Guesses the latent of an image."""

    mean: Tensor  # [L, C], of the generator's latents
    spread: Tensor  # [L, C]

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths = sizes.channels
        self.fromrgb = nn.Conv2d(3 * _UNSHUFFLE**2, widths[0], _KERNEL, padding=1)
        self.blocks = nn.ModuleList(SeparableBlock(width) for width in widths)
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, _KERNEL, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.squeeze = nn.Conv2d(widths[-1], sizes.squeezed, 1)
        self.hidden = nn.Linear(sizes.squeezed * _COARSEST**2, sizes.hidden)
        self.out = nn.Linear(sizes.hidden, math.prod(sizes.latent))
        self.register_buffer("mean", torch.zeros(sizes.latent))
        self.register_buffer("spread", torch.ones(sizes.latent))

    def forward(self, images: Tensor) -> Tensor:  # [N, 3, H, W], -1..1 -> [N, L, C]
        """Latents of the edit space."""
        x = functional.leaky_relu(self.squeeze(self.features(images)[-1]), LEAK).flatten(1)
        x = functional.leaky_relu(self.hidden(x), LEAK)
        guessed = self.out(x).unflatten(1, self.sizes.latent)
        return self.mean + self.spread * guessed

    def features(self, images: Tensor) -> list[Tensor]:
        """Outputs [N, C, R, R] of its blocks, from fine to coarse, the last with R = 4."""
        expect_shape("images", images, (None, 3, None, None))
        x = functional.pixel_unshuffle(fit_side(images, self.sizes.side), _UNSHUFFLE)
        x = functional.leaky_relu(self.fromrgb(x), LEAK)
        found = [self.blocks[0](x)]
        for down, block in zip(self.downs, list(self.blocks)[1:], strict=True):
            found.append(block(functional.leaky_relu(down(found[-1]), LEAK)))
        return found

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """A frozen encoder, float32; CheckpointError unless exactly its tensors are there."""
        encoder = cls(encoder_sizes(tensors))
        try:
            encoder.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        except RuntimeError as error:
            raise CheckpointError(f"encoder: {error}") from error
        return encoder.eval().requires_grad_(False)


def encoder_sizes(tensors: Mapping[str, Tensor]) -> EncoderSizes:
    """Sizes of an encoder's tensors; CheckpointError names what is missing or odd."""
    try:
        widths = [tensors["fromrgb.weight"].shape[0]]
        while (name := f"downs.{len(widths) - 1}.weight") in tensors:
            widths.append(tensors[name].shape[0])
        layers, channels = tensors["mean"].shape
        squeezed, hidden = tensors["squeeze.weight"].shape[0], tensors["hidden.weight"].shape[0]
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(f"encoder: not the tensors of an encoder: {error}") from error
    return EncoderSizes((layers, channels), tuple(widths), squeezed, hidden)


def fit_side(images: Tensor, side: int) -> Tensor:  # [N, C, H, W] -> [N, C, side, side]
    """Images at another side: averaged where they shrink."""
    if images.shape[2:] == (side, side):
        return images
    if min(images.shape[2:]) >= side:
        return functional.adaptive_avg_pool2d(images, side)
    return functional.interpolate(images, (side, side), mode="bilinear", align_corners=False)


def channels_for(resolution: int, widths: Sequence[int] = EncoderSizes.channels) -> tuple[int, ...]:
    """Channels of an encoder for images of a resolution: narrower ones for large images."""
    stages = min(resolution, 128).bit_length() - (_UNSHUFFLE * _COARSEST).bit_length() + 1
    missing = max(stages - len(widths), 0)
    return tuple([widths[0]] * missing + list(widths[-min(stages, len(widths)) :]))
