"""The StyleGAN2 discriminator (Karras et al. 2020): residual, with minibatch standard deviation.

Differs from NVIDIA's in two places, both because of what a CPU does slowly. It starts at half the
image's resolution, from 2x2 pixels side by side as channels. And where NVIDIA's blurs and then
strides, it convolves with its 3x3 kernel smoothed over 2x2, in one strided 4x4 convolution. Knows
nothing about training or files.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.2
GAIN = math.sqrt(2)  # of the leaky ReLU
RESIDUAL_GAIN = math.sqrt(0.5)  # of both branches of a block
STDDEV_GROUP = 4  # samples that are compared with each other
_EPSILON = 1e-8


@dataclass(frozen=True)
class DiscriminatorSizes:
    """Channels by resolution, from half the image's down to 4."""

    channels: Mapping[int, int]

    @property
    def resolutions(self) -> list[int]:
        """32, 16, 8, 4 for images of 64 px."""
        return sorted(self.channels, reverse=True)


class EqualisedConvolution(nn.Module):
    """A convolution with unit-variance weights that are scaled at run time."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self._gain = 1 / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:  # [N, C, H, W] -> [N, C', H, W]
        """Same size, times a gain."""
        weight = self.weight * (self._gain * gain)
        return functional.conv2d(x, weight, self._bias(gain), padding=weight.shape[-1] // 2)

    def downsample(self, x: Tensor, gain: float = 1.0) -> Tensor:  # -> [N, C', H/2, W/2]
        """The mean over 2x2 of what `forward` gives, for 3x3 kernels."""
        padded = functional.pad(self.weight * (self._gain * gain / 4), (1, 1, 1, 1))
        rows = padded[:, :, 1:] + padded[:, :, :-1]  # [O, I, 4, 5]
        smoothed = rows[..., 1:] + rows[..., :-1]  # [O, I, 4, 4]
        return functional.conv2d(x, smoothed, self._bias(gain), stride=2, padding=1)

    def _bias(self, gain: float) -> Tensor | None:
        return None if self.bias is None else self.bias * gain


class EqualisedLinear(nn.Module):
    """A fully connected layer with unit-variance weights that are scaled at run time."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._gain = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:  # [N, I] -> [N, O]
        """Weighted sums plus bias, times a gain."""
        return functional.linear(x, self.weight * (self._gain * gain), self.bias * gain)


class Block(nn.Module):
    """Two convolutions that halve the resolution, and a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = EqualisedConvolution(inputs, inputs, 3)
        self.conv1 = EqualisedConvolution(inputs, outputs, 3)
        self.skip = EqualisedConvolution(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C', H/2, W/2]
        """Features at half the resolution."""
        shortcut = self.skip(functional.avg_pool2d(x, 2), RESIDUAL_GAIN)
        y = activate(self.conv0(x, GAIN))
        return activate(self.conv1.downsample(y, GAIN * RESIDUAL_GAIN)) + shortcut


class Discriminator(nn.Module):
    """Logits of being a dataset image, and the features on the way."""

    def __init__(self, sizes: DiscriminatorSizes) -> None:
        super().__init__()
        resolutions = sizes.resolutions
        last = sizes.channels[4]
        self.sizes = sizes
        self.fromrgb = EqualisedConvolution(12, sizes.channels[resolutions[0]], 3)
        self.blocks = nn.ModuleDict(
            {f"b{r}": Block(sizes.channels[r], sizes.channels[r // 2]) for r in resolutions[:-1]}
        )
        self.conv = EqualisedConvolution(last + 1, last, 3)
        self.fc = EqualisedLinear(last * 16, last)
        self.out = EqualisedLinear(last, 1)

    def forward(self, images: Tensor, groups_of: int = STDDEV_GROUP) -> Tensor:  # -> [N], float32
        """Logits of images [N, 3, H, W] in -1..1, positive for dataset images.

        Consecutive samples are compared in groups: put dataset and generated ones in different
        ones. N must be a multiple of the group size, or smaller than it.
        """
        x = append_stddev(self.features(images)[-1], groups_of)
        x = activate(self.conv(x, GAIN)).flatten(1)  # [N, C * 16]
        return self.out(activate(self.fc(x, GAIN)))[:, 0].float()

    def features(self, images: Tensor) -> list[Tensor]:
        """Outputs [N, C, R, R] of the blocks, from fine to coarse, the last with R = 4."""
        x = functional.pixel_unshuffle(images, 2)  # [N, 12, H/2, W/2]
        x = x.contiguous(memory_format=torch.channels_last)
        x = activate(self.fromrgb(x, GAIN))
        found = []
        for block in self.blocks.values():
            x = block(x)
            found.append(x)
        return found


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU; its gain is put into the layer before, where it costs nothing."""
    return functional.leaky_relu(x, LEAK)


def append_stddev(x: Tensor, group: int) -> Tensor:  # [N, C, H, W] -> [N, C + 1, H, W]
    """One more channel: how much the samples of a group differ, mean over C, H, W."""
    samples, channels, height, width = x.shape
    size = min(group, samples)
    grouped = x.float().reshape(samples // size, size, channels, height, width)
    centred = grouped - grouped.mean(dim=1, keepdim=True)
    spread = (centred.square().mean(dim=1) + _EPSILON).sqrt().mean(dim=(1, 2, 3))  # [N / size]
    channel = spread.to(x.dtype).repeat_interleave(size)[:, None, None, None]
    return torch.cat([x, channel.expand(-1, 1, height, width)], dim=1)


def discriminator_sizes(tensors: Mapping[str, Tensor]) -> DiscriminatorSizes:
    """Sizes of a discriminator's tensors; KeyError names a missing one."""
    channels = {4: tensors["conv.weight"].shape[0]}
    resolution = 8
    while (name := f"blocks.b{resolution}.conv0.weight") in tensors:
        channels[resolution] = tensors[name].shape[0]
        resolution *= 2
    return DiscriminatorSizes(channels)
