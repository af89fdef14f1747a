"""editing/scoring.py: stacked heads give what each head gives alone."""

import pytest
import torch
from torch.nn import functional

from editing import Head, ShapeError, class_logits, class_probabilities, stack_heads
from tests.doubles import make_head


def plain_logits(head: Head, latents: torch.Tensor) -> torch.Tensor:
    units = functional.linear(latents, head.hidden_weight, head.hidden_bias)
    units = functional.leaky_relu(units, 0.1)
    return functional.linear(units, head.class_weight, head.class_bias)


def test_stacked_heads_equal_single_ones_of_any_width() -> None:
    heads = [make_head(2, 0, units=5), make_head(4, 1, units=9), make_head(3, 2, units=7)]
    latents = torch.randn(6, 16)
    stacked = class_probabilities(stack_heads(heads), latents)
    assert stacked.shape == (6, 3, 4)
    positive = torch.sigmoid(plain_logits(heads[0], latents)[:, 0])
    torch.testing.assert_close(stacked[:, 0, 1], positive)
    assert (stacked[:, 0, 2:] == 0).all()
    torch.testing.assert_close(stacked[:, 1], plain_logits(heads[1], latents).softmax(1))
    torch.testing.assert_close(stacked[:, 2, :3], plain_logits(heads[2], latents).softmax(1))


def test_logits_of_absent_classes_are_minus_infinity() -> None:
    logits = class_logits(stack_heads([make_head(2, 0), make_head(3, 1)]), torch.zeros(1, 16))
    assert logits[0, 0, 2] == -torch.inf
    assert logits[0, 0, 0] == 0


def test_other_device_and_dtype_are_kept() -> None:
    heads = stack_heads([make_head(2, 0)]).to("cpu", torch.float64)
    assert class_logits(heads, torch.zeros(1, 16, dtype=torch.float64)).dtype == torch.float64


def test_wrong_latents_are_named() -> None:
    with pytest.raises(ShapeError, match="latents: expected shape"):
        class_logits(stack_heads([make_head(2, 0)]), torch.zeros(1, 15))


def test_heads_of_different_latents_do_not_stack() -> None:
    with pytest.raises(ShapeError, match="hidden_weight"):
        stack_heads([make_head(2, 0), make_head(2, 1, channels=12)])
    with pytest.raises(ShapeError, match="at least one"):
        stack_heads([])
