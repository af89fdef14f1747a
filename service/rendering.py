"""Latents to compressed frames. Knows nothing about attributes, HTTP or processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from model_store import (
    Generator,
    Placement,
    Starts,
    paste_back,
    start_latents,
    synthesise_edited,
    to_bytes,
)
from service.images import MEDIA_TYPES, EncodeFrames, Encoding, encode_animation
from service.provenance import Provenance
from service.signing import Sign
from service.transfers import Arrival, Transfers


@dataclass(frozen=True)
class LoadedGenerator:
    """What the GeneratorRunner holds of a model."""

    generator: Generator
    device: torch.device


@dataclass(frozen=True)
class Points:
    """What frames are rendered of."""

    latents: np.ndarray  # [F, L, C]
    styles: np.ndarray | None = None  # [F, S], offsets of the styles; None: none is moved

    def __len__(self) -> int:
        return len(self.latents)

    def split(self, size: int) -> list["Points"]:
        """Pieces of so many frames."""
        cuts = [slice(i, i + size) for i in range(0, len(self), size)]
        return [
            Points(self.latents[cut], None if self.styles is None else self.styles[cut])
            for cut in cuts
        ]


def synthesise(
    loaded: LoadedGenerator,
    pieces: Sequence[Points],  # all with offsets, or none
    batch_size: int,
    transfers: Transfers,
) -> list[np.ndarray]:
    """Pixels uint8 [F, H, W, 3] for each piece; all batches are queued before the first is awaited.

    Every synthesis gets exactly `batch_size` frames, filled up with copies: another size may
    change the last bit of a pixel, so that equal requests would differ with the load.
    """
    frames = sum(len(piece) for piece in pieces)
    latents = _filled([piece.latents for piece in pieces], batch_size)
    offsets = [piece.styles for piece in pieces if piece.styles is not None]
    styles: Sequence[torch.Tensor | None] = [None] * len(latents)
    if offsets:
        styles = _filled(offsets, batch_size)

    def queue(chunk: torch.Tensor, moved: torch.Tensor | None) -> Arrival:
        there = transfers.send(chunk, loaded.device)
        if moved is not None:
            moved = transfers.send(moved, loaded.device)
        return transfers.fetch(to_bytes(synthesise_edited(loaded.generator, there, moved)))

    with torch.inference_mode():
        leaving = [queue(chunk, moved) for chunk, moved in zip(latents, styles, strict=True)]
    bounds = np.cumsum([len(piece) for piece in pieces])[:-1]
    return np.split(np.concatenate([arrive() for arrive in leaving])[:frames], bounds)


def _filled(parts: Sequence[np.ndarray], batch_size: int) -> list[torch.Tensor]:
    """All rows in batches of the same size, the last one filled up with copies of a row."""
    together = np.concatenate(parts)
    filled = np.concatenate([together, together[:1].repeat(-len(together) % batch_size, axis=0)])
    return list(torch.from_numpy(filled).split(batch_size))


def latents_of(loaded: LoadedGenerator, starts: Starts) -> np.ndarray:  # [N, L, C]
    """Latents in the edit space, float32."""
    with torch.inference_mode():
        return start_latents(loaded.generator, starts).float().cpu().numpy()


def compress(
    pixels: np.ndarray,  # [F, S, S, 3], uint8
    encoding: Encoding,
    animation: bool,
    provenance: Provenance,
    encode_frames: EncodeFrames,
    sign: Sign,
    paste: Mapping[str, Any] | None = None,  # a photo, and where the frames go in it
) -> list[bytes]:
    """One file per frame, or a single animation."""
    if paste is not None:
        placement = Placement(paste["matrix"])
        provenance = replace(provenance, is_composite=True)
        pixels = np.stack([paste_back(paste["photo"], frame, placement) for frame in pixels])
    if animation:
        files = [encode_animation(list(pixels), encoding, provenance)]
    else:
        files = encode_frames(list(pixels), encoding, provenance)
    return [sign(file, MEDIA_TYPES[encoding.format], provenance) for file in files]
