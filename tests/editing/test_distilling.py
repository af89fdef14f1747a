"""editing/distilling.py: heads that learn probabilities, with and without a metric."""

import pytest
import torch
from torch import Tensor

from editing import (
    DistilOptions,
    EditingError,
    ShapeError,
    class_logits,
    class_probabilities,
    distil_heads,
    stack_heads,
)

QUICK = DistilOptions(hidden_units=8, epochs=40, batch=64, learning_rate=1e-2)


def planted(samples: int = 1024) -> tuple[Tensor, list[Tensor]]:
    """Points whose first channel decides two classes, and two more channels three classes."""
    points = torch.randn(samples, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1
    binary = torch.stack([points[:, 0] < 1, points[:, 0] >= 1], dim=1).float()
    three = torch.stack([points[:, 1], points[:, 2], torch.ones(samples)], dim=1)
    return points, [binary, torch.nn.functional.one_hot(three.argmax(dim=1), 3).float()]


@pytest.mark.parametrize("metric", [None, torch.diag(torch.tensor([4.0, 1, 1, 0.1, 0.1, 0.1]))])
def test_heads_learn_what_the_probabilities_say(metric: Tensor | None) -> None:
    points, targets = planted()
    heads = distil_heads(points, targets, metric, options=QUICK)
    assert [head.num_classes for head in heads] == [2, 3]
    assert heads[0].class_weight.shape == (1, 8)
    assert {head.num_channels for head in heads} == {6}
    logits = class_logits(stack_heads(heads), points)
    for a, target in enumerate(targets):
        assert (logits[:, a].argmax(dim=1) == target.argmax(dim=1)).double().mean() > 0.9


def test_soft_probabilities_give_unsure_heads() -> None:
    points, targets = planted()
    soft = [0.8 * target + 0.2 / target.shape[1] for target in targets]
    found = class_probabilities(stack_heads(distil_heads(points, soft, options=QUICK)), points)
    sure = class_probabilities(stack_heads(distil_heads(points, targets, options=QUICK)), points)
    assert found.amax(dim=2).mean() < sure.amax(dim=2).mean() - 0.05


def test_an_attribute_learns_as_it_would_alone() -> None:
    points, targets = planted()
    both = distil_heads(points, targets, options=QUICK)
    alone = distil_heads(points, targets[:1], options=QUICK)
    first = class_probabilities(stack_heads(both[:1]), points)
    again = class_probabilities(stack_heads(alone), points)
    assert (first - again).abs().mean() < 0.02  # other batches, the same lesson


def test_the_same_seed_gives_the_same_heads() -> None:
    points, targets = planted(256)
    first, again = (distil_heads(points, targets, seed=3, options=QUICK) for _ in range(2))
    other = distil_heads(points, targets, seed=4, options=QUICK)
    assert torch.equal(first[1].hidden_weight, again[1].hidden_weight)
    assert not torch.equal(first[1].hidden_weight, other[1].hidden_weight)


def test_bad_input_is_named() -> None:
    points, targets = planted(256)
    with pytest.raises(EditingError, match="at least 64 samples, got 20"):
        distil_heads(points[:20], [target[:20] for target in targets], options=QUICK)
    with pytest.raises(ShapeError, match="targets"):
        distil_heads(points, [targets[0][:100]], options=QUICK)
    with pytest.raises(ShapeError, match="metric"):
        distil_heads(points, targets, torch.zeros(3, 5), options=QUICK)
