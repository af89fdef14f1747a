"""A labeler whose attributes are plain facts of pixels, and a labelled bank of a tiny model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from export.banks import make_bank, open_bank
from export.evaluation.judging import Judge
from export.labels import AttributeLabels, binary_scores, save_labels
from model_store import StoredModel
from tests.doubles import ATTRIBUTES

NAME = "pixels"


def pixel_labels(
    images: np.ndarray, progress: Callable[[int, int], None]
) -> dict[str, AttributeLabels]:
    """Smile: red at the left; age: green at the top; hair: which colour is strongest below."""
    values = images.astype(np.float32) / 64 - 2
    half = images.shape[1] // 2
    smile = values[:, :, :half, 0].mean(axis=(1, 2)) - values[:, :, half:, 0].mean(axis=(1, 2))
    age = values[:, :half, :, 1].mean(axis=(1, 2)) - values[:, half:, :, 1].mean(axis=(1, 2))
    hair = values[:, half:].mean(axis=(1, 2))
    scores = (binary_scores(smile * 8), binary_scores(age * 8), hair * 8)
    return {
        one.name: AttributeLabels(one.classes, NAME, own)
        for one, own in zip(ATTRIBUTES, scores, strict=True)
    }


def planted_judge() -> Judge:
    """The labeler as a judge of all three attributes."""
    return Judge(NAME, ATTRIBUTES, (pixel_labels,))


def labelled_bank(model: StoredModel, folder: Path, samples: int = 200) -> Path:
    """A bank of the model, labelled by the pixels."""
    make_bank(model, samples, folder)
    save_labels(folder, pixel_labels(open_bank(folder).images, lambda done, total: None))
    return folder
