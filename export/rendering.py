"""Images of many latents, batch by batch. Knows nothing about methods or judges."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_store import Generator, synthesise_edited, to_pixels

_BATCH = 50


@dataclass(frozen=True)
class Renderer:
    """A generator that also takes offsets in its style space."""

    generator: Generator

    @torch.inference_mode()
    def images(self, latents: Tensor, styles: Tensor | None = None) -> np.ndarray:
        """Images uint8 [N, H, W, 3] of latents [N, L, C] and offsets [N, S] of their styles."""
        parts = []
        for rows in torch.arange(len(latents)).split(_BATCH):
            offsets = None if styles is None else styles[rows]
            parts.append(to_pixels(synthesise_edited(self.generator, latents[rows], offsets)))
        return np.concatenate(parts)
