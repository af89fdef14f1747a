"""Who says what edited images show while defaults are chosen: an image classifier, or image readers
that learned from the labelled samples of a bank. Knows nothing about which edits are tried.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from export.banks import Bank
from export.evaluation import Judge
from export.labels import AttributeLabels
from export.reading import ImageReader, small_images
from export.teaching import TeachOptions, choose_labelled, fit_readers
from model_store import Generator, ModelCard, to_pixels

Look = Callable[[Tensor], np.ndarray]  # latents [N, L, C] -> class of every attribute [N, A]
_BATCH = 64  # images rendered at once


def judge_look(generator: Generator, judge: Judge) -> Look:
    """By an image classifier; attributes of the card that it does not know never change."""
    names = [one.name for one in generator.card.attributes]
    known = [names.index(one.name) for one in judge.attributes]

    def look(latents: Tensor) -> np.ndarray:
        labels = np.zeros((len(latents), len(names)), dtype=np.int64)
        labels[:, known] = judge.margins(_rendered(generator, latents)).argmax(dim=2).numpy()
        return labels

    return look


def reader_look(
    generator: Generator, bank: Bank, labels: Mapping[str, AttributeLabels], options: TeachOptions
) -> Look:
    """By image readers of the bank's labels, as heads of all layers are taught."""
    images = small_images(bank.images)
    chosen = choose_labelled(labels, options)
    readers = fit_readers(images, labels, chosen, options.seed, lambda what, done, total: None)
    return _look_with(generator, generator.card, readers)


def _look_with(generator: Generator, card: ModelCard, readers: Mapping[str, ImageReader]) -> Look:
    def look(latents: Tensor) -> np.ndarray:
        images = small_images(_rendered(generator, latents))
        columns = [
            readers[one.name].probabilities(images).argmax(axis=1)
            if one.name in readers
            else np.zeros(len(latents), dtype=np.int64)
            for one in card.attributes
        ]
        return np.stack(columns, axis=1)

    return look


def _rendered(generator: Generator, latents: Tensor) -> np.ndarray:
    """Images [N, H, W, 3], uint8."""
    with torch.inference_mode():
        return np.concatenate(
            [to_pixels(generator.synthesis(part)) for part in latents.split(_BATCH)]
        )
