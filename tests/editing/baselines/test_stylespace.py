"""editing/baselines/stylespace.py: planted channels are found, with their sign."""

import pytest
import torch
from torch import Tensor

from editing import EditingError
from editing.baselines import channel_steps, rank_channels

MEAN = torch.linspace(-2, 2, 20)
DEVIATION = torch.linspace(0.5, 3, 20)
ALL = torch.ones(20, dtype=torch.bool)


def positives(count: int = 30) -> Tensor:
    """Samples whose channel 4 is always high, 7 always low, 9 high on average but spread."""
    scores = torch.randn(count, 20, generator=torch.manual_seed(0))
    scores[:, 4] = 2 + 0.1 * scores[:, 4]
    scores[:, 7] = -3 + 0.5 * scores[:, 7]
    scores[:, 9] = 3 + 3 * scores[:, 9]
    return MEAN + scores * DEVIATION


@pytest.mark.parametrize("count", [10, 30])
def test_channels_rank_by_how_much_and_how_alike_positives_differ(count: int) -> None:
    order, signs = rank_channels(positives(count), MEAN, DEVIATION, ALL, 3)
    assert order.tolist() == [4, 7, 9]
    assert signs.tolist() == [1.0, -1.0, 1.0]


def test_ranking_equals_a_loop() -> None:
    order, _ = rank_channels(positives(), MEAN, DEVIATION, ALL, 20)
    relevance = []
    for c in range(20):
        scores = (positives()[:, c] - MEAN[c]) / DEVIATION[c]
        relevance.append(float(scores.mean().abs() / scores.std()))
    assert order.tolist() == sorted(range(20), key=lambda c: -relevance[c])


def test_layers_that_may_not_move_and_dead_channels_are_left_out() -> None:
    movable, deviation = ALL.clone(), DEVIATION.clone()
    movable[4] = False
    deviation[7] = 0
    order, _ = rank_channels(positives(), MEAN, deviation, movable, 20)
    assert len(order) == 18
    assert not {4, 7} & set(order.tolist())


def test_a_step_is_one_standard_deviation_of_the_chosen_channels() -> None:
    step = channel_steps(torch.tensor([4, 7]), torch.tensor([1.0, -1.0]), DEVIATION)
    assert step[4] == DEVIATION[4]
    assert step[7] == -DEVIATION[7]
    assert int((step != 0).sum()) == 2


def test_one_positive_is_too_few() -> None:
    with pytest.raises(EditingError, match="expected 2 or more, got 1"):
        rank_channels(positives(1), MEAN, DEVIATION, ALL, 3)
