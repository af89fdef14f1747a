"""Steps move the right weights, and parts are the batch."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from export.demo_model.adversarial import (
    Players,
    draw_latents,
    mixed_latents,
    play_step,
    update_average,
)
from export.demo_model.avatar_networks import as_generator, trained_names, with_mean_w
from export.demo_model.training import draw_images, fresh_players
from tests.export.demo_model.tiny_runs import BATCH, STEP, tiny_images, tiny_options


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def weights(players: Players) -> dict[str, torch.Tensor]:
    named = {f"g.{name}": t.detach().clone() for name, t in players.generator.items()}
    return named | {
        f"d.{n}": p.detach().clone() for n, p in players.discriminator.named_parameters()
    }


def play(players: Players, parts: int, executor: Executor, with_penalty: bool = True) -> None:
    rng = np.random.default_rng(1)
    real = draw_images(tiny_images(), BATCH, rng)
    play_step(players, real, rng, replace(STEP, parts=parts), with_penalty, executor)


def test_a_step_moves_every_trained_weight_and_no_other(executor: Executor) -> None:
    players = fresh_players(tiny_options(1))
    before = weights(players)
    play(players, 2, executor)
    moved = {name for name, t in weights(players).items() if not torch.equal(t, before[name])}
    trained = {f"g.{name}" for name in trained_names(players.generator)}
    assert moved == trained | {name for name in before if name.startswith("d.")}


def test_parts_average_to_the_batch(executor: Executor) -> None:
    found = []
    for parts in (1, 2):
        players = fresh_players(tiny_options(1))
        for adam in (players.generator_adam, players.discriminator_adam):
            adam.param_groups[0]["lr"] = 0.0
        play(players, parts, executor)
        # Without a first-moment average Adam keeps the last gradient: here the penalty's, which
        # does not depend on the latents. Halves of eight do not split the stddev's groups of four.
        found.append([s["exp_avg"] for s in players.discriminator_adam.state.values()])
    torch.testing.assert_close(found[0], found[1])
    assert max(gradient.abs().max() for gradient in found[0]) > 0


def test_mixing_takes_later_layers_from_the_second_w() -> None:
    players = fresh_players(tiny_options(1))
    generator = as_generator(players.generator)
    draw = draw_latents(players, 50, np.random.default_rng(0), replace(STEP, mixing=1.0))
    first, second = generator.mapping(draw.z).chunk(2)
    mixed = mixed_latents(generator, draw)
    for i, layer in enumerate(draw.crossover[:, 0].tolist()):
        assert 1 <= layer < generator.layout.num_ws
        torch.testing.assert_close(mixed[i, :layer], first[i, :layer])
        torch.testing.assert_close(mixed[i, layer:], second[i, layer:])


def test_without_mixing_all_layers_share_w() -> None:
    players = fresh_players(tiny_options(1))
    generator = as_generator(players.generator)
    draw = draw_latents(players, 50, np.random.default_rng(0), replace(STEP, mixing=0.0))
    mixed = mixed_latents(generator, draw)
    torch.testing.assert_close(mixed, mixed[:, :1].expand_as(mixed))


def test_average_has_the_half_life() -> None:
    players = fresh_players(tiny_options(1))
    name = trained_names(players.generator)[0]
    with torch.no_grad():
        players.average[name].zero_()
        players.generator[name].fill_(1)
    options = replace(STEP, batch=8, average_images=8)
    update_average(players, 1_000_000, options)
    torch.testing.assert_close(players.average[name], torch.full_like(players.average[name], 0.5))


def test_mean_w_is_the_mean_of_mapped_latents() -> None:
    tensors = with_mean_w(fresh_players(tiny_options(1)).generator)
    generator = as_generator(tensors)
    z = torch.randn(50_000, 8, generator=torch.Generator().manual_seed(3))
    expected = generator.mapping(z)[:, 0].mean(dim=0)
    torch.testing.assert_close(tensors["mapping.w_avg"], expected, atol=0.03, rtol=0)
    assert expected.abs().max() > 0.1
