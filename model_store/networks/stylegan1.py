"""The StyleGAN generator (Karras et al. 2019): instance norm and a style after every layer.

Its fully grown form; knows nothing about checkpoints. Canonical names follow StyleGAN2: a block
b{R} has conv0 (upsampling; in b4 the learned constant takes its place) and conv1, each with
`weight, bias, noise_const [R, R], noise_strength [C], affine.weight [2C, w_dim], affine.bias`;
one `synthesis.torgb` follows the last block. Mapping biases are stored divided by sqrt(2), because
the mapping network here scales after its leaky ReLU and StyleGAN's scales its weights.
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
    mapping_shapes,
    mapping_sizes,
)
from model_store.networks.resampling import resample
from model_store.networks.styles import Styles, layer_styles
from model_store.networks.tensors import Shapes, require_shapes, require_tensor

MAX_BLOCKS = 11


@dataclass(frozen=True)
class Stylegan1Options:
    """What the weights do not show."""

    mapping: MappingOptions = field(default_factory=lambda: MappingOptions(label_input="concat"))
    # From this resolution on, the original convolves and upsamples in one transposed convolution,
    # which reads the kernel the other way round.
    fused_from: int = 128


class Stylegan1(MappingNetwork):
    """Frozen weights of a StyleGAN generator; edits happen in w_plus."""

    def __init__(
        self,
        card: ModelCard,
        tensors: Mapping[str, Tensor],
        options: Stylegan1Options = Stylegan1Options(),
        dtype: torch.dtype = torch.float32,  # of the synthesis; mapping and styles keep float32
    ) -> None:
        """Raises CheckpointError unless exactly the architecture's tensors are there."""
        self._names = _layer_names(_checked_channels(tensors, options))
        super().__init__(card, tensors, options.mapping, len(self._names))
        self._options = options
        self._dtype = dtype
        self._weights = {name: self._prepare(name) for name in self._names[1:]}
        self._fir = _binomial().to(tensors["mapping.w_avg"].device)

    def synthesis(
        self,
        latents: Tensor,  # [N, num_ws, w_dim]
        noise_mode: NoiseMode = "const",
    ) -> Tensor:  # [N, 3, H, W], float32, about -1..1
        """Images of latents."""
        return self.synthesis_from_styles(self.styles(latents), noise_mode)

    def styles(self, latents: Tensor) -> Styles:
        """Space S: scale - 1 and shift [N, 2C] of every layer's normalised channels."""
        indices = {name: index for index, name in enumerate(self._names)}
        return layer_styles(self._tensors, indices, latents)

    def synthesis_from_styles(self, styles: Styles, noise_mode: NoiseMode = "const") -> Tensor:
        """Images [N, 3, H, W] of styles, which need not come from any w."""
        samples = styles[self._names[0]].shape[0]
        x = self._tensors["synthesis.b4.const"].to(self._dtype).expand(samples, -1, -1, -1)
        x = self._epilogue(self._names[0], x, styles, noise_mode)
        for name in self._names[1:]:
            weight = self._weights[name]
            if name.endswith("conv0"):
                x = functional.conv_transpose2d(x, weight, stride=2, padding=1)
                x = resample(x, self._fir, padding=(1, 1, 1, 1))
            else:
                x = functional.conv2d(x, weight, padding=1)
            x = self._epilogue(name, x, styles, noise_mode)
        weight = self._tensors["synthesis.torgb.weight"]
        image = functional.conv2d(x.float(), weight * weight.shape[1] ** -0.5)
        return image + self._tensors["synthesis.torgb.bias"][:, None, None]

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Stylegan1":
        """The same generator on another device; its convolutions in another dtype."""
        moved = {name: tensor.to(device) for name, tensor in self._tensors.items()}
        return Stylegan1(self._card, moved, self._options, dtype)

    def _epilogue(self, name: str, x: Tensor, styles: Styles, noise_mode: NoiseMode) -> Tensor:
        """Noise, bias, leaky ReLU, instance normalisation, style."""
        prefix = f"synthesis.{name}"
        if noise_mode == "const":
            strength = self._tensors[f"{prefix}.noise_strength"][:, None, None]
            x = x + (self._tensors[f"{prefix}.noise_const"] * strength).to(x.dtype)
        x = x + self._tensors[f"{prefix}.bias"].to(x.dtype)[:, None, None]
        x = functional.leaky_relu(x, LEAK).float()
        x = functional.instance_norm(x, eps=EPSILON)
        scale, shift = styles[name].chunk(2, dim=1)
        styled = torch.addcmul(shift[:, :, None, None], x, (scale + 1)[:, :, None, None])
        return styled.to(self._dtype)

    def _prepare(self, name: str) -> Tensor:
        """The convolution's weight with its gain; [I, O, 4, 4] for an upsampling one."""
        weight = self._tensors[f"synthesis.{name}.weight"]
        weight = weight * (GAIN * weight[0].numel() ** -0.5)
        if not name.endswith("conv0"):
            return weight.to(self._dtype)
        resolution = int(name.split(".")[0][1:])
        if resolution < self._options.fused_from:
            weight = weight.flip((2, 3))
        # Doubling the pixels and convolving equals a transposed convolution by this kernel.
        padded = functional.pad(weight, (1, 1, 1, 1))
        merged = padded[..., 1:, 1:] + padded[..., :-1, 1:]
        merged = merged + padded[..., 1:, :-1] + padded[..., :-1, :-1]
        return merged.transpose(0, 1).to(self._dtype).contiguous()


def stylegan1_from_state(card: ModelCard, state: Mapping[str, Tensor]) -> Stylegan1:
    """The generator of canonical tensors, with the options of its card."""
    return Stylegan1(card, state, TypeAdapter(Stylegan1Options).validate_python(card.network))


def stylegan1_facts(state: Mapping[str, Tensor], options: Stylegan1Options) -> NetworkFacts:
    """Sizes for the card; CheckpointError unless the tensors are those of a StyleGAN."""
    channels, sizes = _checked_channels(state, options), mapping_sizes(state)
    num_ws = len(_layer_names(channels))
    return NetworkFacts(max(channels), sizes.z_dim, sizes.w_dim, sizes.c_dim, num_ws)


def _layer_names(channels: Mapping[int, int]) -> list[str]:
    return [f"b{r}.{name}" for r in channels for name in ("conv0", "conv1")]


def _binomial() -> Tensor:
    """The blur after every upsampling, [3, 3]."""
    taps = torch.tensor([0.25, 0.5, 0.25])
    return torch.outer(taps, taps)


def _checked_channels(state: Mapping[str, Tensor], options: Stylegan1Options) -> dict[int, int]:
    """Channels by resolution; CheckpointError unless every tensor has the shape that they ask."""
    sizes = mapping_sizes(state)
    shapes: Shapes = mapping_shapes(sizes, options.mapping)
    channels = {4: require_tensor(state, "synthesis.b4.const", 3).shape[0]}
    while f"synthesis.b{max(channels) * 2}.conv1.weight" in state and len(channels) < MAX_BLOCKS:
        r = max(channels) * 2
        channels[r] = require_tensor(state, f"synthesis.b{r}.conv1.weight", 4).shape[0]
    if len(channels) < 2:
        raise CheckpointError("missing tensor 'synthesis.b8.conv1.weight'")
    shapes["synthesis.b4.const"] = (channels[4], 4, 4)
    for r, width in channels.items():
        inputs = {"conv0": channels.get(r // 2, 0), "conv1": width}
        for name in ("conv0", "conv1"):
            prefix = f"synthesis.b{r}.{name}"
            if inputs[name]:
                shapes[f"{prefix}.weight"] = (width, inputs[name], 3, 3)
            shapes |= {
                f"{prefix}.bias": (width,),
                f"{prefix}.noise_const": (r, r),
                f"{prefix}.noise_strength": (width,),
                f"{prefix}.affine.weight": (2 * width, sizes.w_dim),
                f"{prefix}.affine.bias": (2 * width,),
            }
    shapes["synthesis.torgb.weight"] = (3, channels[max(channels)], 1, 1)
    shapes["synthesis.torgb.bias"] = (3,)
    require_shapes(state, shapes)
    return channels
