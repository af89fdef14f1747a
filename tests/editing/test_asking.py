"""editing/asking.py: a walk on a device asks it nothing, and arrives where the asking one does."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from editing import (
    NEVER_STOP,
    StackedHeads,
    Trajectory,
    WalkPlan,
    latent_direction,
    stack_heads,
    walk,
    walk_latents,
)
from editing.asking import knows_all, knows_none, may_ask, without_asking
from editing.courses import course_of
from editing.methods import pad_points
from editing.trajectory import follow
from tests.doubles import OperationLog, make_head

CHANNELS, LAYERS, STEPS = 16, 4, 6
HEADS = stack_heads([make_head(2, 0), make_head(2, 1), make_head(3, 2)])
WIDE = stack_heads([make_head(2, 0, LAYERS * CHANNELS), make_head(3, 1, LAYERS * CHANNELS)])
# They read a number back, or their own error flags, on CUDA; the meta device is silent about some.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "linalg_solve")


def plan(
    top_k: tuple[tuple[int, int, int], ...] = ((0, 3, 2), (0, 0, 0), (2, 16, 0)),
    stop: float = NEVER_STOP,
    goal: float | None = None,
) -> WalkPlan:
    """Three samples, each of another attribute."""
    return WalkPlan(
        attribute=torch.tensor([0, 0, 2]),
        target=torch.tensor([1, 0, 2]),
        steps=torch.tensor([STEPS, 3, 5]),
        step_size=torch.tensor([0.5, 0.2, 0.4]),
        top_k=torch.tensor(top_k),
        stop_probability=torch.tensor([NEVER_STOP, stop, stop]),
        goal=None if goal is None else torch.tensor([goal, torch.inf, goal]),
    )


NOBODY = ((0, 0, 0), (0, 0, 0), (0, 0, 0))
PLANS = {
    "masks": plan(),
    "no masks": plan(NOBODY),
    "a stop": plan(stop=0.6),
    "an early stop": plan(NOBODY, stop=0.0),
    "a goal": plan(goal=2.0),
    "row noise": replace(plan(), row_noise=torch.tensor([0.5, 0.0, 0.2])),
    "bounds": replace(plan(), editable=torch.arange(CHANNELS).expand(3, -1) % 3 > 0),
    "nothing left": plan(((0, 16, 0), (0, 0, 16), (2, 2, 0))),
}


def starts() -> Tensor:
    return torch.randn(3, CHANNELS, generator=torch.manual_seed(3))


def on_meta(heads: StackedHeads) -> StackedHeads:
    return heads.to("meta", torch.float32)


@pytest.mark.parametrize("name", PLANS)
def test_a_walk_on_a_device_asks_it_nothing(name: str) -> None:
    found = walk(on_meta(HEADS), starts().to("meta"), PLANS[name])  # a question would raise
    assert all(getattr(found, field.name).is_meta for field in fields(Trajectory))
    assert found.points.shape == (3, STEPS + 1, CHANNELS)
    assert found.probabilities.shape == (3, STEPS + 1, 3, 3)


@pytest.mark.parametrize("name", PLANS)
def test_its_steps_take_nothing_from_the_host(name: str) -> None:
    course, start = course_of(on_meta(HEADS), PLANS[name]), starts().to("meta")
    with OperationLog() as log:
        follow(course, start)
    assert log.devices == {"meta"}
    assert not [one for one in log.names if one.lstrip("_").startswith(WAITING)]


@pytest.mark.parametrize("heads", [HEADS, WIDE])
def test_neither_do_latents_of_layers_nor_first_directions(heads: StackedHeads) -> None:
    latents, ranges = torch.zeros(3, LAYERS, CHANNELS, device="meta"), torch.tensor([[1, 3]] * 3)
    wanted = replace(PLANS["masks"], attribute=torch.tensor([0, 0, 1]))
    wanted = replace(wanted, top_k=wanted.top_k[:, : heads.num_attributes])
    found = walk_latents(on_meta(heads), latents, wanted, ranges)
    assert found.latents.shape == (3, STEPS + 1, LAYERS, CHANNELS)
    assert found.latents.is_meta
    assert latent_direction(on_meta(heads), latents, wanted, ranges).direction.is_meta


@pytest.mark.parametrize("name", PLANS)
def test_a_walk_without_questions_arrives_at_the_same_points(name: str) -> None:
    asked = walk(HEADS, starts(), PLANS[name])
    with without_asking():
        found = walk(HEADS, starts(), PLANS[name])
    torch.testing.assert_close(found.points, pad_points(asked.points, STEPS), atol=2e-6, rtol=0)
    padded = pad_points(asked.probabilities, STEPS)
    torch.testing.assert_close(found.probabilities, padded, atol=2e-6, rtol=0)
    torch.testing.assert_close(found.kept_norm, asked.kept_norm, atol=2e-6, rtol=0)
    for same in ("steps_taken", "masked_channels", "refused"):
        assert torch.equal(getattr(found, same), getattr(asked, same)), same


def test_a_sample_that_is_no_number_is_refused_where_nobody_asks() -> None:
    start = starts()
    start[1] = torch.nan
    with without_asking():
        found = walk(HEADS, start, PLANS["no masks"])
        alone = walk(HEADS, starts(), PLANS["no masks"])
    assert found.refused.tolist() == [False, True, False]
    torch.testing.assert_close(found.points[::2], alone.points[::2])


def test_only_tensors_of_the_cpu_are_asked() -> None:
    yes, no = torch.ones(2, dtype=torch.bool), torch.zeros(2, dtype=torch.bool)
    far = yes.to("meta")
    assert [may_ask(yes), may_ask(far)] == [True, False]
    assert [knows_all(yes), knows_all(no), knows_all(far)] == [True, False, False]
    assert [knows_none(no), knows_none(yes), knows_none(far)] == [True, False, False]
    with without_asking():
        assert [may_ask(yes), knows_all(yes), knows_none(no)] == [False, False, False]
    assert may_ask(yes)
