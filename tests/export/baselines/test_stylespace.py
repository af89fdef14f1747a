"""export/baselines/stylespace.py: channels that make the positives differ are offered first."""

import numpy as np
import torch

from export.baselines.choosing import make_validation
from export.baselines.stylespace import (
    GROUPS,
    SINGLES,
    channel_candidates,
    choose_channels,
    style_population,
)
from model_store import style_vectors
from tests.doubles import NUM_WS, make_style_card, make_style_generator

GENERATOR = make_style_generator(make_style_card())
LATENTS = np.random.default_rng(0).standard_normal((600, NUM_WS, 16)).astype(np.float32)
STYLES = style_vectors(GENERATOR, torch.from_numpy(LATENTS))
CHANNEL = 36  # of b8.conv0; b4.torgb ends at 32


def positives() -> torch.Tensor:
    """The thirty samples with the highest style of one channel."""
    return STYLES[STYLES[:, CHANNEL].argsort(descending=True)[:30]]


def test_the_population_is_mean_and_deviation_of_the_bank() -> None:
    population = style_population(GENERATOR, LATENTS)
    torch.testing.assert_close(population.mean, STYLES.mean(dim=0))
    torch.testing.assert_close(population.deviation, STYLES.std(dim=0))
    assert population.movable[CHANNEL]


def test_the_planted_channel_comes_first_alone_then_in_groups() -> None:
    population = style_population(GENERATOR, LATENTS)
    candidates = channel_candidates(positives(), population, NUM_WS)
    assert len(candidates) == SINGLES + len(GROUPS)
    assert all(one.in_styles for one in candidates)
    first = candidates[0].vector
    assert torch.nonzero(first).flatten().tolist() == [CHANNEL]
    torch.testing.assert_close(first[CHANNEL], population.deviation[CHANNEL])
    sizes = [int((one.vector != 0).sum()) for one in candidates]
    assert sizes == [1] * SINGLES + list(GROUPS)
    rgb = ~population.movable
    assert rgb.any()
    assert not any(one.vector[rgb].any() for one in candidates)


def test_the_channel_that_works_is_chosen_even_if_it_ranks_lower() -> None:
    population = style_population(GENERATOR, LATENTS)
    candidates = channel_candidates(positives(), population, NUM_WS)
    working = candidates[4].vector

    def margins(latents: torch.Tensor, offsets: torch.Tensor | None) -> torch.Tensor:
        moved = torch.zeros(len(latents)) if offsets is None else offsets @ working
        value = latents[:, 0, 0] + moved / working.square().sum()
        return torch.stack([-value, value], dim=1)[:, None]

    validation = make_validation(torch.from_numpy(np.array(LATENTS[:30])), margins)
    chosen = choose_channels(validation, {(0, 1): candidates[:SINGLES]})[0, 1]
    assert torch.equal(chosen.candidate.vector, working)
    assert chosen.accuracy == 1.0
