"""editing/measures.py."""

import pytest
import torch

from editing import ShapeError, edit_rates


def test_accuracy_needs_the_target_and_the_others_unchanged() -> None:
    before = torch.tensor([[0, 0], [0, 1], [0, 0], [1, 0]])
    after = torch.tensor([[1, 0], [1, 0], [0, 0], [1, 2]])
    rates = edit_rates(before, after, torch.tensor([0, 0, 0, 1]), torch.tensor([1, 1, 1, 2]))
    assert rates[0].count == 3
    assert rates[0].success == pytest.approx(2 / 3)
    assert rates[0].accuracy == pytest.approx(1 / 3)
    assert (rates[1].success, rates[1].accuracy) == (1.0, 1.0)


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match="after"):
        edit_rates(torch.zeros(2, 2), torch.zeros(2, 3), torch.zeros(2), torch.zeros(2))
