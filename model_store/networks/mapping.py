"""The mapping network of StyleGAN1, 2 and 3: z and a class label to w, truncated.

Karras et al. 2019, 2020 (ADA: class conditioning). Knows nothing about synthesis. Tensors, by name:
`mapping.fc{i}.{weight [out, in], bias [out]}`, `mapping.w_avg [w_dim]` and for conditional models
`mapping.embed.weight [features, c_dim]` (with a bias in StyleGAN2-ADA and 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from editing import expect_shape
from model_store.cards import ModelCard
from model_store.errors import CheckpointError
from model_store.networks.tensors import Shapes, require_tensor

LabelInput = Literal["embed", "concat"]
EPSILON = 1e-8  # of every normalisation in the papers' code
LEAK = 0.2
GAIN = 2**0.5  # of the leaky ReLU
MAX_LAYERS = 64
MAPPING_PREFIX = "mapping."


@dataclass(frozen=True)
class MappingOptions:
    """What the weights do not show."""

    lr_multiplier: float = 0.01
    # embed: label and z are normalised apart (ADA, StyleGAN3); concat: together (TensorFlow code
    # of StyleGAN1 and 2), by a plain matrix without the equalised learning rate.
    label_input: LabelInput = "embed"


@dataclass(frozen=True)
class MappingSizes:
    """Sizes that the weights show."""

    num_layers: int
    z_dim: int
    w_dim: int
    c_dim: int
    widths: tuple[int, ...]  # inputs of every layer, then w_dim


def mapping_sizes(tensors: Mapping[str, Tensor]) -> MappingSizes:
    """Sizes of a mapping network; CheckpointError if it has no readable layers."""
    num_layers = 0
    while f"mapping.fc{num_layers}.weight" in tensors and num_layers < MAX_LAYERS:
        num_layers += 1
    first = require_tensor(tensors, "mapping.fc0.weight", 2)
    widths = [first.shape[1]]
    for i in range(num_layers):
        widths.append(require_tensor(tensors, f"mapping.fc{i}.weight", 2).shape[0])
    c_dim = features = 0
    if "mapping.embed.weight" in tensors:
        features, c_dim = require_tensor(tensors, "mapping.embed.weight", 2).shape
    z_dim = widths[0] - features
    if z_dim < 1:
        raise CheckpointError(
            f"mapping.fc0.weight: {widths[0]} inputs leave none for z beside {features} label ones"
        )
    return MappingSizes(num_layers, z_dim, widths[-1], c_dim, tuple(widths))


def mapping_shapes(sizes: MappingSizes, options: MappingOptions) -> Shapes:
    """Every tensor of the mapping network with its shape."""
    shapes: Shapes = {"mapping.w_avg": (sizes.w_dim,)}
    for i in range(sizes.num_layers):
        shapes[f"mapping.fc{i}.weight"] = (sizes.widths[i + 1], sizes.widths[i])
        shapes[f"mapping.fc{i}.bias"] = (sizes.widths[i + 1],)
    if sizes.c_dim:
        features = sizes.widths[0] - sizes.z_dim
        shapes["mapping.embed.weight"] = (features, sizes.c_dim)
        if options.label_input == "embed":
            shapes["mapping.embed.bias"] = (features,)
    return shapes


class MappingNetwork:
    """Frozen weights of a mapping network; the base of the generators, which add a synthesis."""

    def __init__(
        self,
        card: ModelCard,
        tensors: Mapping[str, Tensor],  # those of the mapping, and whatever a synthesis adds
        options: MappingOptions,
        num_ws: int,
    ) -> None:
        self._card = card
        self._tensors = dict(tensors)
        self._mapping_options = options
        self._num_ws = num_ws
        self._sizes = mapping_sizes(tensors)

    @property
    def card(self) -> ModelCard:
        """Facts about the network."""
        return self._card

    def mapping(
        self,
        z: Tensor,  # [N, z_dim]
        c: Tensor | None = None,  # [N, c_dim]
        psi: float = 1.0,
        cutoff: int | None = None,
    ) -> Tensor:  # [N, num_ws, w_dim]
        """w_plus of z; truncation pulls the first `cutoff` layers to the mean w by psi."""
        return map_latents(
            self._tensors, self._sizes, self._mapping_options, z, c, self._num_ws, psi, cutoff
        )

    def state(self) -> dict[str, Tensor]:
        """Tensors by canonical name."""
        return dict(self._tensors)


def map_latents(
    tensors: Mapping[str, Tensor],
    sizes: MappingSizes,
    options: MappingOptions,
    z: Tensor,  # [N, z_dim]
    c: Tensor | None,  # [N, c_dim]
    num_ws: int,
    psi: float,
    cutoff: int | None,
) -> Tensor:  # [N, num_ws, w_dim]
    """w of z, repeated for every layer; the first `cutoff` layers are pulled to the mean by psi."""
    expect_shape("z", z, (None, sizes.z_dim))
    first = tensors["mapping.fc0.weight"]
    x = z.to(first.device, first.dtype)
    x = _with_label(tensors, sizes, options, x, c)
    for i in range(sizes.num_layers):
        weight, bias = tensors[f"mapping.fc{i}.weight"], tensors[f"mapping.fc{i}.bias"]
        gain = options.lr_multiplier * weight.shape[1] ** -0.5
        x = functional.linear(x, weight * gain, bias * options.lr_multiplier)
        x = functional.leaky_relu(x, LEAK) * GAIN
    w = x[:, None].expand(-1, num_ws, -1)
    if psi == 1:
        return w
    truncated = torch.lerp(tensors["mapping.w_avg"], w, psi)
    if cutoff is None:
        return truncated
    return torch.cat([truncated[:, :cutoff], w[:, cutoff:]], dim=1)


def normalise_second_moment(x: Tensor) -> Tensor:
    """x [N, C] with mean square 1 over C."""
    return x * (x.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


def _with_label(
    tensors: Mapping[str, Tensor],
    sizes: MappingSizes,
    options: MappingOptions,
    z: Tensor,
    c: Tensor | None,
) -> Tensor:
    """Normalised input [N, z_dim + features] of the first layer."""
    if not sizes.c_dim:
        if c is not None and c.shape[1] > 0:
            raise ValueError("c: this model has no class labels; pass None")
        return normalise_second_moment(z)
    if c is None:
        raise ValueError(f"c: this model needs class labels [N, {sizes.c_dim}]")
    expect_shape("c", c, (z.shape[0], sizes.c_dim))
    weight = tensors["mapping.embed.weight"]
    label = c.to(z.device, z.dtype)
    if options.label_input == "concat":
        return normalise_second_moment(torch.cat([z, label @ weight.T], dim=1))
    label = functional.linear(label, weight * sizes.c_dim**-0.5, tensors["mapping.embed.bias"])
    return torch.cat([normalise_second_moment(z), normalise_second_moment(label)], dim=1)
