"""The search, on a linear renderer whose answer is known."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from editing import (
    InversionOptions,
    Problem,
    ShapeError,
    advance,
    begin,
    found_latents,
    is_finished,
    measure,
)

LAYERS, CHANNELS, SIDE = 3, 4, 8
OPTIONS = InversionOptions(steps=150, prior_weight=0, spread_weight=0, learning_rate=0.1)


def linear_problem(space: str = "layers", samples: int = 2) -> tuple[Problem, Tensor]:
    """A problem and its exact answer [N, L, C]."""
    drawn = torch.Generator().manual_seed(0)
    weight = torch.randn(LAYERS * CHANNELS, 3 * SIDE * SIDE, generator=drawn) * 0.2
    mean = torch.randn(LAYERS, CHANNELS, generator=drawn)
    spread = torch.rand(LAYERS, CHANNELS, generator=drawn) + 0.5
    rows = 1 if space == "shared" else LAYERS
    units = torch.randn(samples, rows, CHANNELS, generator=drawn).expand(-1, LAYERS, -1)
    answer = mean + spread * units

    def render(latents: Tensor) -> Tensor:
        return ((latents - mean).flatten(1) @ weight).reshape(-1, 3, SIDE, SIDE) * 0.5

    features = (lambda images: [images[:, :, ::2, ::2]]) if space == "layers" else None
    kind: Literal["shared", "layers"] = "shared" if space == "shared" else "layers"
    return Problem(render(answer), mean, spread, render, features, kind), answer


@pytest.mark.parametrize("space", ["layers", "shared"])
def test_it_finds_the_latents_that_made_the_targets(space: str) -> None:
    problem, answer = linear_problem(space)
    start = problem.mean.expand(2, -1, -1)
    before = measure(problem, problem.render(start)).pixel
    state = advance(problem, begin(problem, start), OPTIONS)
    after = measure(problem, problem.render(found_latents(problem, state))).pixel
    assert (after < before / 100).all()
    assert torch.allclose(found_latents(problem, state), answer, atol=0.3)


def test_a_search_in_pieces_finds_the_same() -> None:
    problem, _ = linear_problem()
    start = begin(problem, problem.mean.expand(2, -1, -1))
    whole, pieces = advance(problem, start, OPTIONS), start
    turns = 0
    while not is_finished(pieces, OPTIONS):
        pieces = advance(problem, pieces, OPTIONS, lambda: True)
        turns += 1
    assert turns == whole.step
    assert torch.equal(whole.best, pieces.best)


def test_the_shared_space_keeps_layers_together() -> None:
    problem, _ = linear_problem("shared")
    state = advance(problem, begin(problem, problem.mean.expand(2, -1, -1)), OPTIONS)
    units = (found_latents(problem, state) - problem.mean) / problem.spread
    assert torch.allclose(units, units[:, :1].expand_as(units), atol=1e-5)


def test_it_stops_early_when_nothing_gets_better() -> None:
    problem, answer = linear_problem()
    options = replace(OPTIONS, patience=5, jitter=0.0, least_gain=0.9)
    state = advance(problem, begin(problem, answer), options)
    assert state.step < options.steps


def test_seeds_change_the_way() -> None:
    problem, _ = linear_problem()
    start = begin(problem, problem.mean.expand(2, -1, -1))
    few = replace(OPTIONS, steps=3)
    assert torch.equal(advance(problem, start, few).units, advance(problem, start, few).units)
    other = advance(problem, start, replace(few, seed=1))
    assert not torch.equal(advance(problem, start, few).units, other.units)


def test_a_start_of_another_shape_is_refused() -> None:
    problem, _ = linear_problem()
    with pytest.raises(ShapeError, match="latents"):
        begin(problem, torch.zeros(2, LAYERS, CHANNELS + 1))
