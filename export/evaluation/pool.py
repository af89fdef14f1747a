"""Test samples: unedited images that training and tuning never saw, with what the judge says.

The pool is a sample bank of its own (`pool/` of the output folder), so it resumes like one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from editing import spread
from export.banks import Bank, make_bank, open_bank
from export.evaluation.judging import Judge
from model_store import StoredModel

POOL_FIRST_SEED = 10_000_000  # banks start at 0, validation samples at 1 and 2 million
_CHUNK = 512

Report = Callable[[str, int, int], None]  # what, done, in all


@dataclass(frozen=True)
class Pool:
    """Unedited test samples."""

    bank: Bank
    margins: Tensor  # [N, A, K]
    sigma: Tensor  # [A, K], standard deviations of the margins

    def latents(self, samples: Tensor) -> Tensor:  # [M, L, C]
        """Latents of samples [M]."""
        return torch.from_numpy(np.asarray(self.bank.latents[samples.numpy()]))

    def images(self, samples: Tensor) -> np.ndarray:  # [M, H, W, 3], uint8
        """Images of samples [M]."""
        return np.asarray(self.bank.images[samples.numpy()])

    @property
    def labels(self) -> Tensor:  # [N, A], int64
        """The judge's class of every attribute."""
        return self.margins.argmax(dim=2)


def make_samples(
    model: StoredModel, folder: Path, count: int, first_seed: int, truncation: float, report: Report
) -> Bank:
    """The samples of a pool; an unfinished pool is continued."""
    make_bank(
        model,
        count,
        folder,
        first_seed,
        truncation,
        lambda done: report("test samples", done, count),
    )
    return open_bank(folder, model.card.name)


def judge_pool(bank: Bank, judge: Judge, file: Path, report: Report) -> Pool:
    """A pool with its margins, which are kept in `file`."""
    if file.is_file():
        margins = load_file(file)["margins"]
    else:
        margins = judge_in_parts(judge, bank.images, report)
        save_file({"margins": margins.contiguous()}, file)
    return Pool(bank, margins, spread(margins))


def judge_in_parts(judge: Judge, images: np.ndarray, report: Report) -> Tensor:  # [N, A, K]
    """Margins of many images [N, H, W, 3], with progress."""
    parts = []
    for first in range(0, len(images), _CHUNK):
        parts.append(judge.margins(np.asarray(images[first : first + _CHUNK])))
        report(f"judging by {judge.name}", min(first + _CHUNK, len(images)), len(images))
    return torch.cat(parts)
