"""Freshly initialised StyleGAN2 tensors: where training starts, and random models for tests.

Knows nothing about training. Karras et al. 2020, appendix B: unit normal weights everywhere, with
the equalised learning rate applied at run time; style biases start at one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model_store.networks.mapping import MappingOptions

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


@dataclass(frozen=True)
class Stylegan2Sizes:
    """Everything that a fresh network needs to know."""

    channels: dict[int, int]  # resolution 4, 8, ... -> channels of its block
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    mapping_layers: int = 8
    residual: bool = False  # resnet instead of skip architecture

    @classmethod
    def config_f(cls, resolution: int) -> "Stylegan2Sizes":
        """The paper's large configuration: 512 channels up to 64 px, halved from there."""
        blocks = [4 << i for i in range(resolution.bit_length() - 2)]
        return cls({r: min(512, 32768 // r) for r in blocks})


def initial_tensors(
    sizes: Stylegan2Sizes,
    generator: torch.Generator,
    mapping: MappingOptions = MappingOptions(),  # noqa: B008 (frozen)
) -> dict[str, Tensor]:
    """Tensors by canonical name, float32 on the CPU."""

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=generator) * scale

    tensors: dict[str, Tensor] = {"mapping.w_avg": torch.zeros(sizes.w_dim)}
    inputs = sizes.z_dim
    if sizes.c_dim:
        tensors["mapping.embed.weight"] = normal(sizes.w_dim, sizes.c_dim)
        tensors["mapping.embed.bias"] = torch.zeros(sizes.w_dim)
        inputs += sizes.w_dim
    for i in range(sizes.mapping_layers):
        scale = 1 / mapping.lr_multiplier
        tensors[f"mapping.fc{i}.weight"] = normal(sizes.w_dim, inputs, scale=scale)
        tensors[f"mapping.fc{i}.bias"] = torch.zeros(sizes.w_dim)
        inputs = sizes.w_dim
    taps = torch.tensor(FIR_TAPS)
    tensors["synthesis.resample_filter"] = torch.outer(taps, taps) / taps.sum() ** 2
    tensors["synthesis.b4.const"] = normal(sizes.channels[4], 4, 4)
    resolutions = list(sizes.channels)
    for r in resolutions:
        before, channels = sizes.channels.get(r // 2, 0), sizes.channels[r]
        if r > resolutions[0]:
            _add_layer(tensors, f"synthesis.b{r}.conv0", (channels, before, 3), r, sizes, generator)
            if sizes.residual:
                tensors[f"synthesis.b{r}.skip.weight"] = normal(channels, before, 1, 1)
        _add_layer(tensors, f"synthesis.b{r}.conv1", (channels, channels, 3), r, sizes, generator)
        if not sizes.residual or r == resolutions[-1]:
            _add_layer(tensors, f"synthesis.b{r}.torgb", (3, channels, 1), None, sizes, generator)
    return tensors


def _add_layer(
    tensors: dict[str, Tensor],
    name: str,
    shape: tuple[int, int, int],  # outputs, inputs, kernel
    noise_resolution: int | None,
    sizes: Stylegan2Sizes,
    generator: torch.Generator,
) -> None:
    outputs, inputs, kernel = shape
    tensors[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=generator)
    tensors[f"{name}.bias"] = torch.zeros(outputs)
    tensors[f"{name}.affine.weight"] = torch.randn(inputs, sizes.w_dim, generator=generator)
    tensors[f"{name}.affine.bias"] = torch.ones(inputs)
    if noise_resolution is not None:
        r = noise_resolution
        tensors[f"{name}.noise_const"] = torch.randn(r, r, generator=generator)
        tensors[f"{name}.noise_strength"] = torch.zeros(())
