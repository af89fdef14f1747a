"""editing/compiled.py: a translated step walks as the plain one does."""

from collections.abc import Iterator
from dataclasses import fields

import pytest
import torch

from editing import NEVER_STOP, CompiledWalk, Trajectory, WalkPlan, stack_heads, walk
from editing.methods import pad_points
from tests.doubles import make_head

CHANNELS, STEPS = 16, 5
HEADS = stack_heads([make_head(2, 0), make_head(2, 1), make_head(3, 2)])
PLANS = {  # attribute, target, top-k, stop, goal; row noise too, but where nothing is left
    "masks": (0, 1, (0, 3, 2), NEVER_STOP, None),
    "no masks": (2, 1, (0, 0, 0), NEVER_STOP, None),
    "a stop": (1, 0, (4, 0, 0), 0.7, None),
    "a goal": (2, 2, (2, 0, 0), NEVER_STOP, 1.5),
    "pulls": (0, 1, (0, 3, 2), NEVER_STOP, None),
    "nothing left": (0, 1, (0, CHANNELS, 0), NEVER_STOP, None),
}


@pytest.fixture(scope="module")
def compiled() -> Iterator[CompiledWalk]:
    with torch.inference_mode():
        yield CompiledWalk(1)


def plan(name: str, samples: int) -> WalkPlan:
    attribute, target, top_k, stop, goal = PLANS[name]
    pulls = torch.zeros(samples, 3, 3, 3)
    pulls[:, 1:] = 0.1 * torch.eye(3)
    noise = 0.0 if name == "nothing left" else 0.4
    return WalkPlan(
        attribute=torch.full((samples,), attribute),
        target=torch.full((samples,), target),
        steps=torch.full((samples,), STEPS),
        step_size=torch.full((samples,), 0.4),
        top_k=torch.tensor(top_k).expand(samples, -1),
        stop_probability=torch.full((samples,), stop),
        goal=None if goal is None else torch.full((samples,), goal),
        row_noise=torch.full((samples,), noise),
        pulls=pulls if name == "pulls" else None,
    )


def assert_same(found: Trajectory, expected: Trajectory) -> None:
    for field in fields(Trajectory):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if field.name in ("points", "probabilities"):  # either may end as soon as nobody moves
            one, other = pad_points(one, STEPS), pad_points(other, STEPS)
        torch.testing.assert_close(one, other, atol=2e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_it_walks_as_the_plain_one_does(compiled: CompiledWalk, name: str) -> None:
    start = torch.randn(1, CHANNELS, generator=torch.manual_seed(4))
    assert_same(compiled(HEADS, start, plan(name, 1)), walk(HEADS, start, plan(name, 1)))


@pytest.mark.slow
def test_plans_with_pulls_share_a_translation_and_all_others_one(compiled: CompiledWalk) -> None:
    torch._dynamo.utils.counters.clear()
    compiled(HEADS, torch.zeros(1, CHANNELS), plan("masks", 1))
    for name in PLANS:
        compiled(HEADS, torch.zeros(1, CHANNELS), plan(name, 1))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 2


def test_other_numbers_of_samples_walk_without_it() -> None:
    start = torch.randn(3, CHANNELS, generator=torch.manual_seed(4))
    found = CompiledWalk(1)(HEADS, start, plan("masks", 3))
    assert_same(found, walk(HEADS, start, plan("masks", 3)))
