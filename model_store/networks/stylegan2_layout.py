"""Which blocks and layers a StyleGAN2 has, read from its tensors alone.

Knows nothing about arithmetic. A block `b{R}` holds conv0 (but for the first), conv1 and, in
skip models and in every last block, torgb; residual models have a 1x1 `skip` per block.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from model_store.errors import CheckpointError
from model_store.networks.mapping import MappingOptions, mapping_shapes, mapping_sizes
from model_store.networks.tensors import Shapes, require_shapes, require_tensor

Architecture = Literal["skip", "resnet", "orig"]
MAX_RESOLUTION = 4096
_BLOCK = re.compile(r"^synthesis\.b(\d{1,9})\.")


@dataclass(frozen=True)
class Stylegan2Options:
    """What the weights do not show."""

    mapping: MappingOptions = field(default_factory=MappingOptions)
    conv_clamp: float | None = None  # activations are clamped to -conv_clamp..conv_clamp


@dataclass(frozen=True)
class Layout:
    """Blocks, channels and the index of the w that each layer's style is made from."""

    architecture: Architecture
    channels: dict[int, int]  # resolution -> channels of its block
    w_dim: int
    styles: dict[str, int]  # layer name -> layer of w_plus
    use_noise: bool
    fir_shape: tuple[int, int]

    @property
    def resolutions(self) -> list[int]:
        """4, 8, ... up to the image's."""
        return list(self.channels)

    @property
    def num_ws(self) -> int:
        """Layers of w_plus: one per convolution and one for the last ToRGB."""
        return max(self.styles.values()) + 1


def read_layout(tensors: Mapping[str, Tensor]) -> Layout:
    """The layout; CheckpointError if the blocks are no StyleGAN2."""
    found = {int(match[1]) for name in tensors if (match := _BLOCK.match(name))}
    resolutions = sorted(found)
    if not resolutions or resolutions != [4 << i for i in range(len(resolutions))]:
        raise CheckpointError(f"expected blocks of 4, 8, 16, ... pixels, found {resolutions}")
    if resolutions[-1] > MAX_RESOLUTION:
        raise CheckpointError(f"{resolutions[-1]} px is more than {MAX_RESOLUTION}")
    channels = {
        r: require_tensor(tensors, f"synthesis.b{r}.conv1.weight", 4).shape[0] for r in resolutions
    }
    fir = require_tensor(tensors, "synthesis.resample_filter", 2)
    architecture = _architecture(tensors, resolutions)
    return Layout(
        architecture,
        channels,
        require_tensor(tensors, "synthesis.b4.conv1.affine.weight", 2).shape[1],
        _style_indices(resolutions, architecture),
        "synthesis.b4.conv1.noise_strength" in tensors,
        (fir.shape[0], fir.shape[1]),
    )


def check_tensors(tensors: Mapping[str, Tensor], layout: Layout, options: Stylegan2Options) -> None:
    """CheckpointError unless exactly the tensors of this layout are there, each of its shape."""
    sizes = mapping_sizes(tensors)
    if sizes.w_dim != layout.w_dim:
        raise CheckpointError(
            f"synthesis.b4.conv1.affine.weight: expected {sizes.w_dim} columns as the mapping's "
            f"w, found {layout.w_dim}"
        )
    require_shapes(tensors, mapping_shapes(sizes, options.mapping) | _synthesis_shapes(layout))


def _architecture(tensors: Mapping[str, Tensor], resolutions: list[int]) -> Architecture:
    if f"synthesis.b{resolutions[-1]}.skip.weight" in tensors:
        return "resnet"
    several = len(resolutions) > 1
    return "orig" if several and "synthesis.b4.torgb.weight" not in tensors else "skip"


def _style_indices(resolutions: list[int], architecture: Architecture) -> dict[str, int]:
    """A ToRGB shares the w of the convolution that follows it."""
    styles: dict[str, int] = {}
    index = 0
    for r in resolutions:
        for name in ("conv0", "conv1") if r > resolutions[0] else ("conv1",):
            styles[f"b{r}.{name}"] = index
            index += 1
        if architecture == "skip" or r == resolutions[-1]:
            styles[f"b{r}.torgb"] = index
    return styles


def _synthesis_shapes(layout: Layout) -> Shapes:
    shapes: Shapes = {
        "synthesis.b4.const": (layout.channels[4], 4, 4),
        "synthesis.resample_filter": layout.fir_shape,
    }
    for name in layout.styles:
        block, kind = name.split(".")
        r = int(block[1:])
        outputs, kernel = layout.channels[r], 3
        inputs = layout.channels[r // 2] if kind == "conv0" else outputs
        if kind == "torgb":
            outputs, kernel = 3, 1
        elif layout.use_noise:
            shapes[f"synthesis.{name}.noise_const"] = (r, r)
            shapes[f"synthesis.{name}.noise_strength"] = ()
        shapes[f"synthesis.{name}.weight"] = (outputs, inputs, kernel, kernel)
        shapes[f"synthesis.{name}.bias"] = (outputs,)
        shapes[f"synthesis.{name}.affine.weight"] = (inputs, layout.w_dim)
        shapes[f"synthesis.{name}.affine.bias"] = (inputs,)
    if layout.architecture == "resnet":
        for r in layout.resolutions[1:]:
            shapes[f"synthesis.b{r}.skip.weight"] = (
                layout.channels[r],
                layout.channels[r // 2],
                1,
                1,
            )
    return shapes
