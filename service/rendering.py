"""Latents to compressed frames. Knows nothing about attributes, HTTP or processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from model_store import (
    Generator,
    Placement,
    Starts,
    paste_back,
    start_latents,
    to_pixels,
)
from service.images import Encoding, encode, encode_animation


@dataclass(frozen=True)
class LoadedGenerator:
    """What the GeneratorRunner holds of a model."""

    generator: Generator
    device: torch.device


def synthesise(
    loaded: LoadedGenerator, pieces: Sequence[np.ndarray], batch_size: int
) -> list[np.ndarray]:
    """Pixels uint8 [F, H, W, 3] for each piece's latents [F, L, C].

    Every synthesis gets exactly `batch_size` frames, filled up with copies: another size may
    change the last bit of a pixel, so that equal requests would differ with the load.
    """
    together = np.concatenate(pieces)
    frames = len(together)
    filled = np.concatenate([together, together[:1].repeat(-frames % batch_size, axis=0)])
    with torch.inference_mode():
        chunks = [
            to_pixels(loaded.generator.synthesis(chunk.to(loaded.device)))
            for chunk in torch.from_numpy(filled).split(batch_size)
        ]
    bounds = np.cumsum([len(latents) for latents in pieces])[:-1]
    return np.split(np.concatenate(chunks)[:frames], bounds)


def latents_of(loaded: LoadedGenerator, starts: Starts) -> np.ndarray:  # [N, L, C]
    """Latents in the edit space, float32."""
    with torch.inference_mode():
        return start_latents(loaded.generator, starts).float().cpu().numpy()


def compress(
    pixels: np.ndarray,  # [F, S, S, 3], uint8
    encoding: Encoding,
    animation: bool,
    paste: Mapping[str, Any] | None = None,  # a photo, and where the frames go in it
) -> list[bytes]:
    """One file per frame, or a single animation."""
    if paste is not None:
        placement = Placement(paste["matrix"])
        pixels = np.stack([paste_back(paste["photo"], frame, placement) for frame in pixels])
    if animation:
        return [encode_animation(list(pixels), encoding)]
    return [encode(frame, encoding) for frame in pixels]
