"""export/sampling.py: mixed latents differ by layer, and each seed is always the same."""

import numpy as np
import torch

from export.sampling import drawn_labels, mixed_latents, sample_latents
from tests.doubles import NUM_WS, make_style_card, make_style_generator

GENERATOR = make_style_generator(make_style_card())
SEEDS = range(40)


def parts(latent: torch.Tensor) -> int:
    """How many runs of equal layers a latent [L, C] has."""
    return 1 + int((latent[1:] != latent[:-1]).any(dim=1).sum())


def test_mixed_latents_change_at_up_to_three_layers() -> None:
    mixed = mixed_latents(GENERATOR, SEEDS, 1.0)
    assert {parts(latent) for latent in mixed} == {1, 2, 3, 4}
    plain = sample_latents(GENERATOR, SEEDS, 1.0)
    torch.testing.assert_close(mixed[:, 0], plain[:, 0])
    assert {parts(latent) for latent in plain} == {1}
    assert mixed.shape[1] == NUM_WS


def test_a_seed_gives_the_same_mixture_in_any_batch() -> None:
    together = mixed_latents(GENERATOR, SEEDS, 0.8)
    for seed in (0, 7, 31):
        torch.testing.assert_close(mixed_latents(GENERATOR, [seed], 0.8)[0], together[seed])


def test_conditional_models_keep_their_class() -> None:
    card = make_style_card(c_dim=3)
    labels = drawn_labels(card, SEEDS)
    assert labels is not None
    mixed = mixed_latents(make_style_generator(card), SEEDS, 1.0, labels)
    assert np.isfinite(mixed.numpy()).all()
