"""editing/countering.py and its place in a walk: what a step adds against side effects."""

from dataclasses import replace

import pytest
import torch

from editing import (
    NEVER_STOP,
    MaskedDirection,
    StackedHeads,
    WalkPlan,
    class_logits,
    combined_rows,
    counter,
    direction_at,
    log_odds_rows,
    stack_heads,
    walk,
)
from tests.doubles import make_heads

BLACK = torch.tensor([1.0, 0.0, -1.0]) / 2**0.5  # weights of the logits of hair


@pytest.fixture
def heads() -> StackedHeads:
    """Smile and age of two classes, hair of three."""
    return stack_heads(list(make_heads().values()))


def plan(samples: int, pulls: torch.Tensor | None = None) -> WalkPlan:
    """The smile to its second class, age protected by projection."""
    return WalkPlan(
        attribute=torch.zeros(samples, dtype=torch.int64),
        target=torch.ones(samples, dtype=torch.int64),
        steps=torch.full((samples,), 4),
        step_size=torch.full((samples,), 0.1),
        top_k=torch.tensor([[0, 1, 0]]).expand(samples, -1),
        stop_probability=torch.full((samples,), NEVER_STOP),
        pulls=pulls,
    )


def hair_pulls(share: float, samples: int) -> torch.Tensor:
    """Off blond, towards black."""
    pulls = torch.zeros(samples, 3, 3, 3)
    pulls[:, 2] = share * BLACK
    return pulls


def test_what_is_added_leaves_all_other_rows_alone() -> None:
    torch.manual_seed(0)
    rows, pulls = torch.randn(5, 4, 30), torch.randn(5, 4, 30)
    direction = torch.nn.functional.normalize(torch.randn(5, 30), dim=1)
    start = MaskedDirection(direction, torch.zeros(5, dtype=torch.int64), torch.ones(5))
    shares = torch.zeros(5, 4)
    shares[:, 2] = 0.2
    found = counter(start, rows, pulls, shares).direction
    torch.testing.assert_close(found.norm(dim=1), torch.ones(5))
    # the unit of direction + added: along rows off which `added` is, both differ by one factor
    factors = (rows @ found[:, :, None])[:, :, 0] / (rows @ direction[:, :, None])[:, :, 0]
    others = factors[:, [0, 1, 3]]
    torch.testing.assert_close(others, others[:, :1].expand(-1, 3), atol=1e-2, rtol=1e-2)
    assert (factors[:, 2] - others[:, 0]).abs().min() > 0.02
    added = found / others[:, :1] - direction
    torch.testing.assert_close(added.norm(dim=1), torch.full((5,), 0.2), atol=1e-2, rtol=0)


def test_pulls_move_their_attribute_and_no_other(heads: StackedHeads) -> None:
    torch.manual_seed(1)
    points = torch.randn(6, heads.num_channels)
    plain = direction_at(heads, points, plan(6)).direction
    found = direction_at(heads, points, plan(6, hair_pulls(0.3, 6))).direction
    readings = torch.zeros(6, 3, dtype=torch.int64)
    readings[:, 0] = 1
    rows = log_odds_rows(heads, points, readings)
    pulled = combined_rows(heads, points, BLACK.expand(6, 3, 3))[:, 2]
    assert ((found * pulled).sum(dim=1) > (plain * pulled).sum(dim=1)).all()
    age = (found * rows[:, 1]).sum(dim=1) / rows[:, 1].norm(dim=1)
    assert age.abs().max() < 1e-2
    smile, before = ((one * rows[:, 0]).sum(dim=1) for one in (found, plain))
    length = 1 / (1 + 0.3**2) ** 0.5  # what the addition leaves of the direction, at the least
    assert (smile > 0.9 * length * before).all()
    assert not torch.allclose(found, plain)


def test_pulls_are_those_of_the_class_at_the_point(heads: StackedHeads) -> None:
    torch.manual_seed(5)
    points = torch.randn(40, heads.num_channels)
    present = class_logits(heads, points)[:, 2].argmax(dim=1)
    pulls = hair_pulls(0.3, 40)
    pulls[:, 2, 1:] = 0  # of black hair alone
    plain = direction_at(heads, points, plan(40)).direction
    found = direction_at(heads, points, plan(40, pulls)).direction
    same = torch.isclose(plain, found, atol=1e-6).all(dim=1)
    assert torch.equal(same, present != 0)
    assert 0 < int(same.sum()) < 40


def test_without_pulls_nothing_changes(heads: StackedHeads) -> None:
    torch.manual_seed(2)
    start = torch.randn(4, heads.num_channels)
    plain = walk(heads, start, plan(4))
    none = walk(heads, start, plan(4, torch.zeros(4, 3, 3, 3)))
    assert torch.equal(plain.points, none.points)


def test_a_sample_walks_as_it_would_alone(heads: StackedHeads) -> None:
    torch.manual_seed(3)
    start = torch.randn(2, heads.num_channels)
    pulls = hair_pulls(0.2, 2)
    pulls[1] = 0
    both = walk(heads, start, plan(2, pulls)).points
    with_pull = walk(heads, start[:1], plan(1, pulls[:1])).points
    without = walk(heads, start[1:], plan(1)).points
    torch.testing.assert_close(both[:1], with_pull)
    torch.testing.assert_close(both[1:], without, atol=1e-5, rtol=1e-5)


def test_a_refused_sample_stays(heads: StackedHeads) -> None:
    start = torch.randn(1, heads.num_channels)
    asked = replace(plan(1, hair_pulls(0.2, 1)), top_k=torch.tensor([[0, heads.num_channels, 0]]))
    found = walk(heads, start, asked)
    assert found.refused.all()
    assert torch.equal(found.points[:, -1], start)
