"""What every generator can do, whatever its family. Knows nothing about files."""

from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from model_store.cards import ModelCard

NoiseMode = Literal["const", "none"]


class Mapper(Protocol):
    """A frozen network from z to latents of the edit space."""

    @property
    def card(self) -> ModelCard:
        """Facts about the network: sizes, spaces, provenance."""
        ...

    def mapping(
        self,
        z: Tensor,  # [N, z_dim]
        c: Tensor | None = None,  # [N, c_dim], class label of conditional models
        psi: float = 1.0,  # truncation, 0..1
        cutoff: int | None = None,  # number of layers that truncation touches; None is all
    ) -> Tensor:  # [N, L, C]
        """Latents in the edit space."""
        ...


class Generator(Mapper, Protocol):
    """A frozen network from latents to images."""

    def synthesis(
        self,
        latents: Tensor,  # [N, L, C]
        noise_mode: NoiseMode = "const",
    ) -> Tensor:  # [N, 3, H, W], float32, about -1..1, unclamped
        """Images of latents."""
        ...

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Generator":
        """The same generator on another device, in another dtype."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Tensors by canonical name, as they are stored."""
        ...


def z_from_seed(seed: int, z_dim: int) -> np.ndarray:
    """Standard normal latent [z_dim], float32.

    Drawn as NVIDIA's generate scripts do (numpy's legacy RandomState), so a seed names the same
    image here as there. Valid seeds are 0 .. 2**32 - 1.
    """
    return np.random.RandomState(seed).randn(z_dim).astype(np.float32)


def to_bytes(images: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] of images [N, 3, H, W] in -1..1, where they are; others are clamped."""
    scaled = images.float().clamp(-1, 1).add(1).mul(127.5).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def to_pixels(images: Tensor) -> np.ndarray:
    """The same on the host."""
    return to_bytes(images).cpu().numpy()
