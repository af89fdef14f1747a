"""Latents of seeds in a model's edit space. Knows nothing about images or files."""

from collections.abc import Sequence

import numpy as np
import torch

from model_store import Generator, ModelCard, Starts, one_hot, start_latents, z_of_seeds

_MOST_CUTS = 3  # layers at which a mixed latent changes
_MIXED_PSI = (0.6, 1.0)


def sample_latents(
    generator: Generator,
    seeds: Sequence[int],
    truncation: float,
    labels: np.ndarray | None = None,  # [N or 1, c_dim]
) -> torch.Tensor:  # [N, L, C]
    """Latents of seeds in the edit space."""
    z = z_of_seeds(generator.card, seeds)
    return start_latents(generator, Starts(z=z, labels=labels, truncation=truncation))


def drawn_labels(card: ModelCard, seeds: Sequence[int]) -> np.ndarray | None:  # [N, c_dim]
    """One class per seed, uniform, always the same; None for a model without classes."""
    if not card.c_dim:
        return None
    classes = [np.random.default_rng(seed).integers(card.c_dim) for seed in seeds]
    return one_hot(np.array(classes), card.c_dim)


def mixed_latents(
    generator: Generator,
    seeds: Sequence[int],
    truncation: float,
    labels: np.ndarray | None = None,  # [N or 1, c_dim]
) -> torch.Tensor:  # [N, L, C]
    """Latents of seeds that change to others at 0 to 3 layers, all drawn by the seed.

    Style mixing (StyleGAN, section 3.1). Heads that read all layers learn from it what each layer
    does: latents of the mapping are the same in every layer. What a latent changes to has a psi of
    its own, 0.6 to 1.
    """
    mixed = sample_latents(generator, seeds, truncation, labels).clone()
    center = _center(generator, labels)
    draws = [np.random.default_rng([seed, 1]) for seed in seeds]
    cuts = [_cuts(rng, mixed.shape[1]) for rng in draws]
    for turn in range(_MOST_CUTS):
        z = np.stack([rng.standard_normal(generator.card.z_dim, np.float32) for rng in draws])
        latents = start_latents(generator, Starts(z=z, labels=labels))
        for row, rng in enumerate(draws):
            psi = rng.uniform(*_MIXED_PSI)
            for cut in cuts[row][turn : turn + 1]:
                mixed[row, cut:] = torch.lerp(center[cut:], latents[row, cut:], psi)
    return mixed


def _center(generator: Generator, labels: np.ndarray | None) -> torch.Tensor:  # [L, C]
    """The mean latent: psi 0 in every layer, whatever the card's cutoff is."""
    z = torch.zeros(1, generator.card.z_dim)
    return generator.mapping(z, None if labels is None else torch.tensor(labels[:1]), 0.0, None)[0]


def _cuts(rng: np.random.Generator, layers: int) -> np.ndarray:
    """First layers of the parts of a mixed latent, ascending."""
    count = min(int(rng.integers(_MOST_CUTS + 1)), layers - 1)
    return np.sort(rng.choice(np.arange(1, layers), count, replace=False))
