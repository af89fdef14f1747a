"""Who looks at edits of validation samples: an image classifier, image readers that learned from a
bank's labels, or the model's own heads. Knows nothing about which edits are tried.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from editing import StackedHeads, latent_logits, log_odds
from export.evaluation.judging import Judge
from export.reading import ImageReader
from export.rendering import Renderer
from export.sights import Eyes
from model_store import Generator

# Log-odds [N, A, K] of the images of latents [N, L, C] with style offsets [N, S] or None.
Margins = Callable[[Tensor, Tensor | None], Tensor]
_LEAST = 1e-12  # probability: a logarithm needs more than none


@dataclass(frozen=True)
class Onlooker:
    """Log-odds of some attributes for edited latents."""

    attributes: tuple[str, ...]  # A names, the order of the margins
    margins: Margins
    sees_images: bool  # heads see no styles

    def labels(self, latents: Tensor) -> Tensor:
        """The class of every attribute [N, A] in the images of latents [N, L, C]."""
        return self.margins(latents, None).argmax(dim=2)


def image_onlooker(generator: Generator, judge: Judge) -> Onlooker:
    """Renders edits and lets an image classifier label them."""
    renderer = Renderer(generator)

    def margins(latents: Tensor, offsets: Tensor | None) -> Tensor:
        return judge.margins(renderer.images(latents, offsets))

    return Onlooker(tuple(one.name for one in judge.attributes), margins, True)


def reader_onlooker(
    generator: Generator, eyes: Eyes, readers: Mapping[str, ImageReader]
) -> Onlooker:
    """Renders edits and lets image readers label them."""
    renderer = Renderer(generator)

    def margins(latents: Tensor, offsets: Tensor | None) -> Tensor:
        sights = eyes.see(renderer.images(latents, offsets))
        read = [torch.from_numpy(one.probabilities(sights)) for one in readers.values()]
        logits = [probabilities.clamp_min(_LEAST).log() for probabilities in read]
        most = max(one.shape[1] for one in logits)
        padded = [pad(one, (0, most - one.shape[1]), value=-torch.inf) for one in logits]
        return log_odds(torch.stack(padded, dim=1))

    return Onlooker(tuple(readers), margins, True)


def head_onlooker(heads: StackedHeads, attributes: Sequence[str]) -> Onlooker:
    """What heads make of edited latents; renders nothing."""

    def margins(latents: Tensor, offsets: Tensor | None) -> Tensor:
        assert offsets is None, "heads read latents, not styles"
        return log_odds(latent_logits(heads, latents))

    return Onlooker(tuple(attributes), margins, False)
