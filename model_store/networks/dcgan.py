"""The DCGAN generator (Radford et al., 2015): transposed convolutions from z to RGB.

Knows nothing about checkpoints. Batch normalisation is already folded into the convolutions
(readers/dcgan.py): in eval mode it is an affine map per channel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from editing import expect_shape
from model_store.cards import ModelCard
from model_store.generators import NoiseMode


class Dcgan:
    """Frozen weights of a DCGAN; edits happen in z."""

    def __init__(
        self,
        card: ModelCard,
        weights: Sequence[Tensor],  # per layer [C_in, C_out, 4, 4]
        biases: Sequence[Tensor],  # per layer [C_out]
    ) -> None:
        self._card = card
        self._weights = tuple(weights)
        self._biases = tuple(biases)

    @property
    def card(self) -> ModelCard:
        """Facts about the network."""
        return self._card

    def mapping(
        self,
        z: Tensor,  # [N, z_dim]
        c: Tensor | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
    ) -> Tensor:  # [N, 1, z_dim]
        """The latent itself, pulled towards the mean of z (zero) by psi.

        A DCGAN has no classes and no layers: `c` and `cutoff` must be None.
        """
        if c is not None or cutoff is not None:
            raise ValueError("c, cutoff: a DCGAN has no class labels and no layers; pass None")
        expect_shape("z", z, (None, self._card.z_dim))
        return (z * psi).unsqueeze(1)

    def synthesis(
        self,
        latents: Tensor,  # [N, 1, z_dim]
        noise_mode: NoiseMode = "const",
    ) -> Tensor:  # [N, 3, H, W], float32, -1..1
        """Images of latents; there is no noise input, so every noise mode is the same."""
        expect_shape("latents", latents, (None, 1, self._card.z_dim))
        first = self._weights[0]
        x = latents.to(first.device, first.dtype)[:, 0, :, None, None]
        last = len(self._weights) - 1
        for layer, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            stride, padding = (1, 0) if layer == 0 else (2, 1)
            x = functional.conv_transpose2d(x, weight, bias, stride, padding)
            x = torch.tanh(x) if layer == last else functional.relu_(x)
        return x.float()

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Dcgan":
        """The same generator on another device, in another dtype."""
        return Dcgan(
            self._card,
            [weight.to(device, dtype) for weight in self._weights],
            [bias.to(device, dtype) for bias in self._biases],
        )

    def state(self) -> dict[str, Tensor]:
        """Tensors by canonical name: layers.{i}.weight, layers.{i}.bias."""
        named: dict[str, Tensor] = {}
        for layer, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            named[f"layers.{layer}.weight"] = weight
            named[f"layers.{layer}.bias"] = bias
        return named


def dcgan_from_state(card: ModelCard, state: dict[str, Tensor]) -> Dcgan:
    """The generator of canonical tensors; KeyError names a missing one."""
    num_layers = len(state) // 2
    return Dcgan(
        card,
        [state[f"layers.{i}.weight"] for i in range(num_layers)],
        [state[f"layers.{i}.bias"] for i in range(num_layers)],
    )
