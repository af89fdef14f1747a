"""One cell of the comparison: the edits of one attribute by one method under one protocol.

Frames are rendered and judged one step at a time, and only for samples that are still on their
way. A cell is a safetensors file, so an evaluation that was stopped goes on where it was.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from editing import Path
from export.evaluation.judging import Judge
from export.evaluation.pool import Pool
from export.evaluation.protocols import Protocol, Starts
from export.rendering import Renderer

FORMAT = 3  # of cells; raise it when what a cell means changes
KEPT_IMAGES = 24  # of the last frames, for the sheets
_KEY_DIGITS = 16

Embed = Callable[[np.ndarray], Tensor]  # images [N, H, W, 3], uint8 -> unit vectors [N, D]


@dataclass(frozen=True)
class Cell:
    """What became of N edits."""

    samples: Tensor  # [N], int64, positions in the pool
    target: Tensor  # [N], int64
    margins: Tensor  # [N, T, A, K], by the judge; NaN in frames that were not looked at
    frame: Tensor  # [N], int64, where the edit ended
    arrived: Tensor  # [N], bool, by the protocol's rule
    refused: Tensor  # [N], bool, the method had nothing to follow, there or later
    finite: Tensor  # [N], bool, no NaN on the path
    walked: Tensor  # [N], L2 length of the path to there; NaN in style space
    images: Tensor  # [min(N, KEPT_IMAGES), H, W, 3], uint8, last frames
    second: Tensor  # [N, A2, K2], margins of the last frame by a second judge; A2 = 0 without one
    identity: Tensor  # [N], cosine to the embedding of the start; NaN without an embedding

    @property
    def last(self) -> Tensor:
        """Margins [N, A, K] where the edits ended."""
        return self.margins[torch.arange(len(self.frame)), self.frame]


@dataclass(frozen=True)
class Bench:
    """Everything that edits of one model are measured with."""

    renderer: Renderer
    judge: Judge
    pool: Pool
    second: Judge | None = None
    embed: Embed | None = None


def run_cell(
    bench: Bench,
    protocol: Protocol,
    attribute: int,  # among the judged ones
    starts: Starts,
    path: Path,
    progress: Callable[[int, int], None] = lambda step, steps: None,
) -> Cell:
    """Follow the paths until each has arrived, and judge where they ended."""
    walked = walked_lengths(path)
    shown = path if protocol.every_frame else _first_and_last(path)
    walk = _Walk(bench, shown, starts)
    steps = shown.latents.shape[1] - 1
    for step in range(1, steps + 1):
        walk.take(step)
        here = protocol.arrived(walk.margins[:, step], bench.pool.sigma, attribute, starts.target)
        walk.stop(here)
        progress(step, steps)
        if not bool(walk.active.any()):
            break
    frame = walk.frame if protocol.every_frame else walk.frame * (path.latents.shape[1] - 1)
    before = bench.pool.images(starts.samples)
    return Cell(
        starts.samples,
        starts.target,
        walk.margins,
        walk.frame,
        walk.arrived,
        path.refused,
        walk.finite,
        walked.gather(1, frame[:, None]).squeeze(1),
        torch.from_numpy(walk.images[:KEPT_IMAGES].copy()),
        bench.second.margins(walk.images) if bench.second else torch.zeros(len(frame), 0, 0),
        _identity(bench.embed, before, walk.images),
    )


class _Walk:
    """Where N samples are while their paths are followed."""

    def __init__(self, bench: Bench, path: Path, starts: Starts) -> None:
        self._bench, self._path = bench, path
        first = bench.pool.margins[starts.samples]  # [N, A, K]
        samples, frames = path.latents.shape[:2]
        self.margins = torch.full((samples, frames, *first.shape[1:]), torch.nan)
        self.margins[:, 0] = first
        self.images = bench.pool.images(starts.samples).copy()
        self.frame = torch.zeros(samples, dtype=torch.int64)
        self.arrived = torch.zeros(samples, dtype=torch.bool)
        self.finite = torch.isfinite(path.latents).flatten(1).all(dim=1)
        if path.styles is not None:
            self.finite &= torch.isfinite(path.styles).flatten(1).all(dim=1)
        self.active = self.finite.clone()

    def take(self, step: int) -> None:
        """Render and judge the samples that move in this step; the others stay as they are."""
        path = self._path
        self.margins[self.active, step] = self.margins[self.active, step - 1]
        rows = torch.nonzero(self.active & _moves(path, step)).squeeze(1)
        if not len(rows):
            return
        styles = None if path.styles is None else path.styles[rows, step]
        images = self._bench.renderer.images(path.latents[rows, step], styles)
        self.images[rows.numpy()] = images
        self.margins[rows, step] = self._bench.judge.margins(images)
        self.frame[rows] = step

    def stop(self, here: Tensor) -> None:
        """Leave the samples alone that have arrived here [N]."""
        self.arrived |= here & self.active
        self.active &= ~here


def walked_lengths(path: Path) -> Tensor:
    """L2 length [N, T] of the path up to each frame, of the layer that moves most."""
    if path.styles is not None:
        return torch.full(path.latents.shape[:2], torch.nan)
    step = torch.linalg.vector_norm(path.latents.diff(dim=1), dim=3).amax(dim=2)  # [N, T - 1]
    return torch.cat([torch.zeros_like(step[:, :1]), step.cumsum(dim=1)], dim=1)


def cell_file(folder: FilePath, labels: tuple[str, ...], settings: Mapping[str, Any]) -> FilePath:
    """Where a cell is kept: readable labels, then a hash of everything that decides its numbers."""
    text = json.dumps({**settings, "labels": labels, "format": FORMAT}, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]
    return folder / f"{'.'.join(labels)}.{key}.safetensors"


def save_cell(cell: Cell, file: FilePath) -> None:
    """Write a cell; half a file is never left under its name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    save_file({one.name: getattr(cell, one.name).contiguous() for one in fields(Cell)}, partial)
    partial.replace(file)


def read_cell(file: FilePath) -> Cell:
    """A cell as `save_cell` wrote it."""
    return Cell(**load_file(file))


def _first_and_last(path: Path) -> Path:
    styles = None if path.styles is None else path.styles[:, [0, -1]]
    return Path(path.latents[:, [0, -1]], styles, path.refused)


def _moves(path: Path, step: int) -> Tensor:  # [N], bool
    moves = (path.latents[:, step] != path.latents[:, step - 1]).flatten(1).any(dim=1)
    if path.styles is not None:
        moves = moves | (path.styles[:, step] != path.styles[:, step - 1]).any(dim=1)
    return moves


def _identity(embed: Embed | None, before: np.ndarray, after: np.ndarray) -> Tensor:  # [N]
    if embed is None:
        return torch.full((len(before),), torch.nan)
    return (embed(before) * embed(after)).sum(dim=1)
