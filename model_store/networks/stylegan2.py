"""The StyleGAN2 generator (Karras et al. 2020): weight demodulation, skip or residual outputs.

Written for speed on any device: styles scale the activations and not the weights, so that a batch
shares one convolution; stylegan2_plain.py is the textbook twin that tests compare with. Knows
nothing about checkpoints. Tensors are named as in NVIDIA's PyTorch code, with a single
`synthesis.resample_filter`; every step can be differentiated. Fresh ones: stylegan2_initial.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional

from model_store.cards import ModelCard
from model_store.generators import NoiseMode
from model_store.networks.activations import activate, scale_channels
from model_store.networks.facts import NetworkFacts
from model_store.networks.mapping import EPSILON, GAIN, MappingNetwork, mapping_sizes
from model_store.networks.resampling import upsample
from model_store.networks.stylegan2_layout import (
    Layout,
    Stylegan2Options,
    check_tensors,
    read_layout,
)
from model_store.networks.styles import Styles, layer_styles
from model_store.networks.upsampling_convolution import UpsamplingConvolution

RESIDUAL_GAIN = 0.5**0.5  # of both branches of a residual block


@dataclass(frozen=True)
class _Convolution:
    """A modulated 3x3 convolution with everything that can be worked out beforehand."""

    name: str
    convolve: UpsamplingConvolution | Tensor  # a plain weight [O, I, 3, 3] where it keeps the size
    squared: Tensor  # [I, O], float32, sum of squared weights over the kernel
    noise: Tensor | None  # [H, W], times its strength
    bias: Tensor  # [O, 1, 1]


class Stylegan2(MappingNetwork):
    """Frozen weights of a StyleGAN2 generator; edits happen in w_plus."""

    def __init__(
        self,
        card: ModelCard,
        tensors: Mapping[str, Tensor],
        options: Stylegan2Options = Stylegan2Options(),  # noqa: B008 (frozen)
        dtype: torch.dtype = torch.float32,  # of the synthesis; mapping and styles keep float32
    ) -> None:
        """Raises CheckpointError unless exactly the architecture's tensors are there.

        What can be worked out of the weights is worked out here: after changing weights in
        training, make a new object.
        """
        self._layout = read_layout(tensors)
        check_tensors(tensors, self._layout, options)
        super().__init__(card, tensors, options.mapping, self._layout.num_ws)
        self._options = options
        self._dtype = dtype
        self._fir = self._tensors["synthesis.resample_filter"]
        self._convolutions = {
            name: self._prepare(name) for name in self._layout.styles if "conv" in name
        }

    @property
    def layout(self) -> Layout:
        """Its blocks and the style that each layer reads."""
        return self._layout

    def synthesis(
        self,
        latents: Tensor,  # [N, num_ws, w_dim]
        noise_mode: NoiseMode = "const",
    ) -> Tensor:  # [N, 3, H, W], float32, about -1..1
        """Images of latents."""
        return self.synthesis_from_styles(self.styles(latents), noise_mode)

    def styles(self, latents: Tensor) -> Styles:
        """Space S: the scale of every input channel of every layer (ToRGB: before its gain)."""
        return layer_styles(self._tensors, self._layout.styles, latents)

    def synthesis_from_styles(self, styles: Styles, noise_mode: NoiseMode = "const") -> Tensor:
        """Images [N, 3, H, W] of styles, which need not come from any w."""
        samples = styles["b4.conv1"].shape[0]
        const = self._tensors["synthesis.b4.const"].to(self._dtype)
        # A copy in any case: later steps overwrite it.
        x = const.expand(samples, -1, -1, -1).clone(memory_format=torch.channels_last)
        image: Tensor | None = None
        for resolution in self._layout.resolutions:
            x = self._block(resolution, x, styles, noise_mode)
            if image is not None:
                image = upsample(image, self._fir)
            if f"b{resolution}.torgb" in styles:
                rgb = self._to_rgb(f"b{resolution}.torgb", x, styles)
                image = rgb if image is None else image + rgb
        assert image is not None
        return image.contiguous()

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Stylegan2":
        """The same generator on another device; its convolutions in another dtype."""
        moved = {name: tensor.to(device) for name, tensor in self._tensors.items()}
        return Stylegan2(self._card, moved, self._options, dtype)

    def _block(self, resolution: int, x: Tensor, styles: Styles, noise_mode: NoiseMode) -> Tensor:
        """A block of convolutions; `x` is overwritten where no gradient needs it."""
        name = f"b{resolution}"
        if resolution == self._layout.resolutions[0]:
            return self._convolve(f"{name}.conv1", x, styles, noise_mode)
        skip = self._tensors.get(f"synthesis.{name}.skip.weight")
        if skip is None:
            x = self._convolve(f"{name}.conv0", x, styles, noise_mode)
            return self._convolve(f"{name}.conv1", x, styles, noise_mode)
        weight = (skip * _equalised(skip) * RESIDUAL_GAIN).to(self._dtype)
        skipped = upsample(functional.conv2d(x, weight), self._fir)
        x = self._convolve(f"{name}.conv0", x, styles, noise_mode)
        return skipped + self._convolve(f"{name}.conv1", x, styles, noise_mode, RESIDUAL_GAIN)

    def _convolve(
        self,
        name: str,
        x: Tensor,  # [N, I, H, W]
        styles: Styles,
        noise_mode: NoiseMode,
        gain: float = 1.0,
    ) -> Tensor:  # [N, O, H, W] or [N, O, 2H, 2W]
        """Modulate, convolve, demodulate, add noise and bias, leaky ReLU."""
        layer = self._convolutions[name]
        style = styles[name]
        demodulation = (style.square() @ layer.squared + EPSILON).rsqrt()  # [N, O]
        modulated = scale_channels(x, style)
        if isinstance(layer.convolve, Tensor):
            y = functional.conv2d(modulated, layer.convolve, padding=1)
        else:
            y = layer.convolve(modulated)
        # A positive gain passes through the leaky ReLU, so it is put where it costs nothing.
        total = GAIN * gain
        noise = layer.noise if noise_mode == "const" else None
        clamp = self._options.conv_clamp
        return activate(
            y,
            demodulation * total,
            layer.bias * total,
            None if noise is None else noise * total,
            None if clamp is None else clamp * gain,
        )

    def _to_rgb(self, name: str, x: Tensor, styles: Styles) -> Tensor:
        """[N, 3, H, W], float32, of x [N, I, H, W]: a 1x1 convolution with weights per sample."""
        n, channels, height, width = x.shape
        weight = self._tensors[f"synthesis.{name}.weight"][:, :, 0, 0]  # [3, I]
        scaled = weight * (styles[name] * channels**-0.5)[:, None]  # [N, 3, I]
        pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, channels)
        rgb = pixels @ scaled.transpose(1, 2).to(x.dtype)  # [N, H*W, 3]
        rgb = rgb.float() + self._tensors[f"synthesis.{name}.bias"]
        clamp = self._options.conv_clamp
        rgb = rgb if clamp is None else rgb.clamp(-clamp, clamp)
        return rgb.transpose(1, 2).reshape(n, 3, height, width)

    def _prepare(self, name: str) -> _Convolution:
        prefix = f"synthesis.{name}"
        weight = self._tensors[f"{prefix}.weight"]  # [O, I, 3, 3]
        squared = weight.float().square().sum(dim=(2, 3)).T.contiguous()
        strength = self._tensors.get(f"{prefix}.noise_strength")
        noise = None
        if strength is not None:
            noise = (self._tensors[f"{prefix}.noise_const"] * strength).to(self._dtype)
        bias = self._tensors[f"{prefix}.bias"].to(self._dtype)[:, None, None]
        convolve: UpsamplingConvolution | Tensor
        if name.endswith("conv0"):
            convolve = UpsamplingConvolution(weight.to(self._dtype), self._fir)
        else:
            convolve = weight.to(self._dtype).contiguous(memory_format=torch.channels_last)
        return _Convolution(name, convolve, squared, noise, bias)


def stylegan2_from_state(card: ModelCard, state: Mapping[str, Tensor]) -> Stylegan2:
    """The generator of canonical tensors, with the options of its card."""
    return Stylegan2(card, state, TypeAdapter(Stylegan2Options).validate_python(card.network))


def stylegan2_facts(state: Mapping[str, Tensor], options: Stylegan2Options) -> NetworkFacts:
    """Sizes for the card; CheckpointError unless the tensors are those of a StyleGAN2."""
    layout, sizes = read_layout(state), mapping_sizes(state)
    check_tensors(state, layout, options)
    return NetworkFacts(
        layout.resolutions[-1], sizes.z_dim, sizes.w_dim, sizes.c_dim, layout.num_ws
    )


def _equalised(weight: Tensor) -> float:
    """The run-time gain of an equalised learning rate: 1 / sqrt(fan-in)."""
    return 1 / math.sqrt(weight[0].numel())
