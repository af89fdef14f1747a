"""The StyleGAN3 generator (Karras et al. 2021): Fourier features, filtered nonlinearities.

Both configurations: T (3x3 convolutions, separable filters) and R (1x1, radial filters). Knows
nothing about checkpoints. Tensors are named as in NVIDIA's code; its layers' sampling factors are
options, because the weights do not show them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional

from model_store.cards import ModelCard
from model_store.errors import CheckpointError
from model_store.generators import NoiseMode
from model_store.networks.facts import NetworkFacts
from model_store.networks.mapping import (
    EPSILON,
    GAIN,
    LEAK,
    MappingNetwork,
    MappingOptions,
    MappingSizes,
    mapping_shapes,
    mapping_sizes,
)
from model_store.networks.resampling import Padding, resample, resample_by_axis
from model_store.networks.styles import Styles, layer_styles
from model_store.networks.tensors import Shapes, require_shapes, require_tensor

INPUT = "input"


@dataclass(frozen=True)
class FilteredLayer:
    """One layer: where its sampling rates lie, relative to its input."""

    name: str  # L{index}_{size}_{channels}
    up: int  # before the nonlinearity
    down: int  # after it
    padding: Padding
    to_rgb: bool = False


@dataclass(frozen=True)
class Stylegan3Options:
    """What the weights do not show."""

    input_size: int  # pixels per side of the Fourier features
    sampling_rate: float  # of the input, pixels per unit square
    bandwidth: float
    layers: tuple[FilteredLayer, ...]
    resolution: int
    conv_clamp: float | None = 256.0
    output_scale: float = 0.25
    mapping: MappingOptions = field(default_factory=MappingOptions)


class Stylegan3(MappingNetwork):
    """Frozen weights of a StyleGAN3 generator; edits happen in w_plus."""

    def __init__(
        self,
        card: ModelCard,
        tensors: Mapping[str, Tensor],
        options: Stylegan3Options,
        dtype: torch.dtype = torch.float32,  # of the convolutions
    ) -> None:
        """Raises CheckpointError unless exactly the architecture's tensors are there."""
        _checked_sizes(tensors, options)
        super().__init__(card, tensors, options.mapping, _num_ws(options))
        self._options = options
        self._dtype = dtype
        self._weights = {
            layer.name: _normalised(tensors[f"synthesis.{layer.name}.weight"], layer).to(dtype)
            for layer in options.layers
        }

    def synthesis(
        self,
        latents: Tensor,  # [N, num_ws, w_dim]
        noise_mode: NoiseMode = "const",
        transform: Tensor | None = None,  # [3, 3], moves the image; None: the stored one
    ) -> Tensor:  # [N, 3, H, W], float32, about -1..1
        """Images of latents; there is no noise, so every noise mode is the same."""
        return self.synthesis_from_styles(self.styles(latents), noise_mode, transform)

    def styles(self, latents: Tensor) -> Styles:
        """Space S: `input` is [N, 4] (rotation, translation), the others scale input channels."""
        names = [INPUT, *(layer.name for layer in self._options.layers)]
        indices = {name: index for index, name in enumerate(names)}
        return layer_styles(self._tensors, indices, latents)

    def synthesis_from_styles(
        self, styles: Styles, noise_mode: NoiseMode = "const", transform: Tensor | None = None
    ) -> Tensor:
        """Images [N, 3, H, W] of styles, which need not come from any w."""
        x = self._fourier_features(styles[INPUT], transform).to(self._dtype)
        for layer in self._options.layers:
            x = self._layer(layer, x, styles[layer.name])
        return x.float() * self._options.output_scale

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Stylegan3":
        """The same generator on another device; its convolutions in another dtype."""
        moved = {name: tensor.to(device) for name, tensor in self._tensors.items()}
        return Stylegan3(self._card, moved, self._options, dtype)

    def _fourier_features(self, style: Tensor, transform: Tensor | None) -> Tensor:
        """[N, C, size, size] of the transform that a style [N, 4] asks for (Appendix F.1)."""
        options = self._options
        tensors = {
            part: self._tensors[f"synthesis.input.{part}"]
            for part in ("transform", "freqs", "phases", "weight")
        }
        stored = tensors["transform"] if transform is None else transform.to(tensors["transform"])
        moved = _rigid_motion(style) @ stored  # [N, 3, 3]
        frequencies = tensors["freqs"] @ moved[:, :2, :2]  # [N, C, 2]
        phases = tensors["phases"] + (tensors["freqs"] @ moved[:, :2, 2:]).squeeze(2)  # [N, C]
        nyquist = options.sampling_rate / 2
        excess = torch.linalg.vector_norm(frequencies, dim=2) - options.bandwidth
        amplitudes = (1 - excess / (nyquist - options.bandwidth)).clamp(0, 1)  # [N, C]
        theta = torch.eye(2, 3).to(style) * (0.5 * options.input_size / options.sampling_rate)
        size = options.input_size
        grid = functional.affine_grid(theta[None], [1, 1, size, size], align_corners=False)
        waves = torch.einsum("hwx,ncx->nhwc", grid[0], frequencies) + phases[:, None, None]
        x = torch.sin(waves * (2 * torch.pi)) * amplitudes[:, None, None]  # [N, H, W, C]
        weight = tensors["weight"]
        return (x @ (weight.T * weight.shape[1] ** -0.5)).permute(0, 3, 1, 2)

    def _layer(self, layer: FilteredLayer, x: Tensor, style: Tensor) -> Tensor:
        """Modulated convolution, upsample, leaky ReLU, downsample."""
        prefix = f"synthesis.{layer.name}"
        weight = self._weights[layer.name]
        style = style * self._tensors[f"{prefix}.magnitude_ema"].rsqrt()
        x = x * style.to(x.dtype)[:, :, None, None]
        y = functional.conv2d(x, weight, padding=weight.shape[2] - 1)
        if not layer.to_rgb:
            # The input gain is outside the demodulation, so it is divided out again here.
            raw = style * self._tensors[f"{prefix}.magnitude_ema"].sqrt()
            squared = weight.float().square().sum(dim=(2, 3))  # [O, I]
            demodulation = (raw.square() @ squared.T + EPSILON).rsqrt()
            y = y * demodulation.to(y.dtype)[:, :, None, None]
        y = y + self._tensors[f"{prefix}.bias"].to(y.dtype)[:, None, None]
        y = self._filtered(y, f"{prefix}.up_filter", layer.up, 1, layer.padding)
        if not layer.to_rgb:
            y = functional.leaky_relu(y, LEAK) * GAIN
        if self._options.conv_clamp is not None:
            y = y.clamp(-self._options.conv_clamp, self._options.conv_clamp)
        return self._filtered(y, f"{prefix}.down_filter", 1, layer.down, (0, 0, 0, 0))

    def _filtered(self, x: Tensor, name: str, up: int, down: int, padding: Padding) -> Tensor:
        fir = self._tensors.get(name)
        if fir is None:
            fir = torch.ones(1, 1, device=x.device)
        gain = float(up**2)
        if fir.ndim == 1:
            return resample_by_axis(x, fir, up, down, padding, gain)
        return resample(x, fir, up, down, padding, gain)


def stylegan3_from_state(card: ModelCard, state: Mapping[str, Tensor]) -> Stylegan3:
    """The generator of canonical tensors, with the options of its card."""
    return Stylegan3(card, state, TypeAdapter(Stylegan3Options).validate_python(card.network))


def stylegan3_facts(state: Mapping[str, Tensor], options: Stylegan3Options) -> NetworkFacts:
    """Sizes for the card; CheckpointError unless the tensors are those of a StyleGAN3."""
    sizes = _checked_sizes(state, options)
    return NetworkFacts(options.resolution, sizes.z_dim, sizes.w_dim, sizes.c_dim, _num_ws(options))


def _num_ws(options: Stylegan3Options) -> int:
    """One layer of w_plus for the input and one for every layer."""
    return len(options.layers) + 1


def _rigid_motion(style: Tensor) -> Tensor:
    """[N, 3, 3]: rotation after translation, of a style [N, 4] (cos, sin, x, y) of any length."""
    style = style / torch.linalg.vector_norm(style[:, :2], dim=1, keepdim=True)
    cosine, sine, x, y = style.unbind(dim=1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rotation = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1)
    translation = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], dim=1)
    return rotation.reshape(-1, 3, 3) @ translation.reshape(-1, 3, 3)


def _normalised(weight: Tensor, layer: FilteredLayer) -> Tensor:
    """Unit mean square per output channel; a ToRGB has the equalised gain instead."""
    if layer.to_rgb:
        return weight * weight[0].numel() ** -0.5
    return weight * weight.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()


def _checked_sizes(state: Mapping[str, Tensor], options: Stylegan3Options) -> MappingSizes:
    sizes = mapping_sizes(state)
    shapes = mapping_shapes(sizes, options.mapping)
    channels = require_tensor(state, "synthesis.input.weight", 2).shape[0]
    shapes |= {
        "synthesis.input.weight": (channels, channels),
        "synthesis.input.transform": (3, 3),
        "synthesis.input.freqs": (channels, 2),
        "synthesis.input.phases": (channels,),
        "synthesis.input.affine.weight": (4, sizes.w_dim),
        "synthesis.input.affine.bias": (4,),
    }
    for layer in options.layers:
        layer_shapes, channels = _layer_shapes(state, layer, channels, sizes.w_dim)
        shapes |= layer_shapes
    if channels != 3:
        raise CheckpointError(f"the last layer gives {channels} channels instead of 3")
    require_shapes(state, shapes)
    return sizes


def _layer_shapes(
    state: Mapping[str, Tensor], layer: FilteredLayer, inputs: int, w_dim: int
) -> tuple[Shapes, int]:
    """Shapes of one layer, and its output channels."""
    prefix = f"synthesis.{layer.name}"
    outputs, _, kernel, _ = require_tensor(state, f"{prefix}.weight", 4).shape
    if kernel not in (1, 3):
        raise CheckpointError(f"{prefix}.weight: a kernel of {kernel} pixels")
    shapes: Shapes = {
        f"{prefix}.weight": (outputs, inputs, kernel, kernel),
        f"{prefix}.bias": (outputs,),
        f"{prefix}.magnitude_ema": (),
        f"{prefix}.affine.weight": (inputs, w_dim),
        f"{prefix}.affine.bias": (inputs,),
    }
    for part in ("up_filter", "down_filter"):
        fir = state.get(f"{prefix}.{part}")
        if fir is not None and fir.ndim in (1, 2):
            taps = fir.shape[0]
            shapes[f"{prefix}.{part}"] = (taps,) * fir.ndim
    return shapes, outputs
