"""Who looks at edits of validation samples: an image classifier, or the model's own heads.

Knows nothing about which edits are tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from editing import StackedHeads, latent_logits, log_odds
from export.baselines.choosing import Margins, Validation, make_validation
from export.evaluation.judging import Judge
from model_store import Generator, synthesise_edited, to_pixels

_CHUNK = 64  # images rendered at once


@dataclass(frozen=True)
class Onlooker:
    """Log-odds of some attributes for edited latents."""

    attributes: tuple[str, ...]  # A names, the order of the margins
    margins: Margins
    sees_images: bool  # heads read one latent: they cannot tell layers apart, nor see styles

    def look_at(self, latents: np.ndarray) -> Validation:
        """Validation samples [N, L, C] as they are before an edit."""
        return make_validation(torch.from_numpy(np.array(latents)), self.margins)


def image_onlooker(generator: Generator, judge: Judge) -> Onlooker:
    """Renders edits and lets an image classifier label them."""

    def margins(latents: Tensor, offsets: Tensor | None) -> Tensor:
        images = []
        for first in range(0, len(latents), _CHUNK):
            part = slice(first, first + _CHUNK)
            moved = None if offsets is None else offsets[part]
            images.append(to_pixels(synthesise_edited(generator, latents[part], moved)))
        return judge.margins(np.concatenate(images))

    return Onlooker(tuple(one.name for one in judge.attributes), margins, True)


def head_onlooker(heads: StackedHeads, attributes: Sequence[str]) -> Onlooker:
    """What heads make of edited latents; renders nothing."""

    def margins(latents: Tensor, offsets: Tensor | None) -> Tensor:
        assert offsets is None, "heads read latents, not styles"
        return log_odds(latent_logits(heads, latents))

    return Onlooker(tuple(attributes), margins, False)
