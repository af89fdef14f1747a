"""Style space as flat vectors [N, S]: all layers of a StyleGAN side by side, in their own order.

Knows nothing about attributes.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from editing import UnsupportedMethodError, expect_shape
from model_store.cards import Family
from model_store.generators import Generator, NoiseMode
from model_store.networks.styles import Styles


@runtime_checkable
class StyledGenerator(Generator, Protocol):
    """A generator with a style space: every StyleGAN."""

    def styles(self, latents: Tensor) -> Styles:
        """Styles by layer of latents [N, L, C]."""
        ...

    def synthesis_from_styles(self, styles: Styles, noise_mode: NoiseMode = "const") -> Tensor:
        """Images [N, 3, H, W] of styles."""
        ...


# Layers whose channels may be moved: ToRGB layers change colours everywhere (Wu et al. 2021,
# section 3); the first style of StyleGAN3 is a rotation and a translation, not channels.
_MOVABLE: dict[Family, Callable[[Sequence[str]], Sequence[str]]] = {
    "stylegan1": lambda names: names,
    "stylegan2": lambda names: [name for name in names if not name.endswith(".torgb")],
    "stylegan3": lambda names: names[1:-1],
}


def styled(generator: Generator) -> StyledGenerator:
    """The same generator; UnsupportedMethodError if it has no style space."""
    if isinstance(generator, StyledGenerator):
        return generator
    raise UnsupportedMethodError(
        f"stylespace: a {generator.card.family} has no style space (its layers read z once, no "
        "layer scales channels by it); use interfacegan or ganspace"
    )


def style_vectors(generator: StyledGenerator, latents: Tensor) -> Tensor:
    """Flat styles [N, S] of latents [N, L, C]."""
    return torch.cat(list(generator.styles(latents).values()), dim=1)


def movable_channels(generator: StyledGenerator, latents: Tensor) -> Tensor:
    """Bool [S]: channels of layers that StyleSpace may move; latents: any [1, L, C]."""
    styles = generator.styles(latents)
    allowed = set(_MOVABLE[generator.card.family](list(styles)))
    return torch.cat(
        [torch.full((style.shape[1],), name in allowed) for name, style in styles.items()]
    )


def style_map(generator: StyledGenerator) -> Tensor:
    """Linear map [S, L * C] from latents, all layers side by side, to the movable styles.

    Styles are affine in a latent: a unit of style changes the image about as much in every layer,
    a unit of w does not.
    """
    layers, channels = generator.card.latent_shape
    movable = movable_channels(generator, torch.zeros(1, layers, channels))
    constant = style_vectors(generator, torch.zeros(1, layers, channels))
    columns = []
    for layer in range(layers):
        units = torch.zeros(channels, layers, channels)
        units[:, layer] = torch.eye(channels)
        columns.append((style_vectors(generator, units) - constant)[:, movable])
    return torch.cat(columns).T.contiguous()


def synthesise_edited(
    generator: Generator,
    latents: Tensor,  # [N, L, C]
    offsets: Tensor | None,  # [N, S], added to the styles; None for none
    noise_mode: NoiseMode = "const",
) -> Tensor:  # [N, 3, H, W], float32, about -1..1
    """Images of latents whose styles were moved: renders the frames of any method's path."""
    if offsets is None:
        return generator.synthesis(latents, noise_mode)
    network = styled(generator)
    styles = network.styles(latents)
    sizes = [style.shape[1] for style in styles.values()]
    expect_shape("offsets", offsets, (latents.shape[0], sum(sizes)))
    parts = offsets.to(latents.device).split(sizes, dim=1)
    moved = {
        name: style + part.to(style)
        for (name, style), part in zip(styles.items(), parts, strict=True)
    }
    return network.synthesis_from_styles(moved, noise_mode)
