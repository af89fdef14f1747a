"""editing/latent_walk.py: heads of one layer and heads of all layers move the same latents."""

from dataclasses import replace

import pytest
import torch

from editing import (
    NEVER_STOP,
    WalkPlan,
    apply_deltas,
    edited_point,
    latent_direction,
    latent_logits,
    log_odds,
    stack_heads,
    walk,
    walk_latents,
    widen,
)
from editing.trajectory import LONGEST_STEP
from tests.doubles import make_head

LAYERS, CHANNELS = 4, 16
NARROW = [make_head(2, 0), make_head(2, 1), make_head(3, 2)]
WIDE = [make_head(2, 0, LAYERS * CHANNELS), make_head(3, 1, LAYERS * CHANNELS)]
LATENTS = torch.randn(2, LAYERS, CHANNELS, generator=torch.manual_seed(0))
RANGES = torch.tensor([[1, 3], [0, 4]])


def plan(attributes: int, top_k: int = 0, **others: object) -> WalkPlan:
    """Two samples to class 1 of attribute 0."""
    masks = torch.full((2, attributes), top_k)
    masks[:, 0] = 0
    return replace(
        WalkPlan(
            attribute=torch.tensor([0, 0]),
            target=torch.tensor([1, 1]),
            steps=torch.tensor([5, 5]),
            step_size=torch.tensor([0.4, 0.4]),
            top_k=masks,
            stop_probability=torch.full((2,), NEVER_STOP),
        ),
        **others,  # type: ignore[arg-type]
    )


def test_heads_of_one_layer_move_the_layers_of_the_range_alike() -> None:
    heads = stack_heads(NARROW)
    found = walk_latents(heads, LATENTS, plan(3, top_k=2), RANGES)
    start = edited_point(LATENTS, RANGES)
    points = walk(heads, start, plan(3, top_k=2)).points
    torch.testing.assert_close(
        found.latents, apply_deltas(LATENTS, points - start[:, None], RANGES)
    )


def test_heads_of_all_layers_leave_other_layers_exactly_as_they_are() -> None:
    found = walk_latents(stack_heads(WIDE), LATENTS, plan(2, top_k=3), RANGES)
    assert found.latents.shape == (2, 6, LAYERS, CHANNELS)
    moved = found.latents - LATENTS[:, None]
    assert torch.equal(found.latents[0, :, [0, 3]], LATENTS[0, [0, 3]].expand(6, -1, -1))
    assert moved[0, -1, 1:3].abs().max() > 0
    assert not torch.allclose(moved[1, -1, 0], moved[1, -1, 1])  # each layer its own way
    lengths = (found.latents[:, 1:] - found.latents[:, :-1]).flatten(2).norm(dim=2)
    torch.testing.assert_close(lengths, torch.full((2, 5), 0.4))


def test_the_direction_is_the_first_step() -> None:
    heads = stack_heads(WIDE)
    direction = latent_direction(heads, LATENTS, plan(2), RANGES).direction
    first = walk_latents(heads, LATENTS, plan(2), RANGES).latents[:, 1] - LATENTS
    torch.testing.assert_close(first.flatten(1), 0.4 * direction, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("ahead", [1.0, 6.0])
def test_a_goal_is_reached_at_the_last_step_and_evenly(ahead: float) -> None:
    heads = stack_heads(WIDE)
    now = log_odds(latent_logits(heads, LATENTS)[:, 0])[:, 1]
    wanted = plan(2, goal=now + ahead, step_size=torch.full((2,), 50.0))
    found = walk_latents(heads, LATENTS, wanted, RANGES).latents.flatten(0, 1)
    margins = log_odds(latent_logits(heads, found)[:, 0])[:, 1].reshape(2, 6)
    torch.testing.assert_close(margins[:, -1] - now, torch.full((2,), ahead), atol=0.3, rtol=0.05)
    torch.testing.assert_close(
        margins.diff(dim=1), torch.full((2, 5), ahead / 5), atol=0.2, rtol=0.5
    )


def test_a_goal_is_no_reason_for_longer_steps_than_allowed() -> None:
    wanted = plan(2, goal=torch.full((2,), 500.0))
    found = walk_latents(stack_heads(WIDE), LATENTS, wanted, RANGES).latents
    lengths = (found[:, 1:] - found[:, :-1]).flatten(2).norm(dim=2)
    assert lengths.max() < LONGEST_STEP * 0.4 + 1e-4


def test_a_goal_behind_the_start_moves_nothing() -> None:
    wanted = plan(2, goal=torch.full((2,), -30.0))
    found = walk_latents(stack_heads(WIDE), LATENTS, wanted, RANGES)
    torch.testing.assert_close(found.latents, LATENTS[:, None].expand_as(found.latents))


def test_a_widened_head_reads_the_mean_of_all_layers() -> None:
    wide = [replace(head, hidden_weight=widen(head.hidden_weight, LAYERS)) for head in NARROW]
    torch.testing.assert_close(
        latent_logits(stack_heads(wide), LATENTS), latent_logits(stack_heads(NARROW), LATENTS)
    )
