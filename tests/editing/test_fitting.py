"""editing/fitting.py: heads from few samples."""

from dataclasses import replace

import pytest
import torch

from editing import (
    EditingError,
    FitOptions,
    average_heads,
    class_logits,
    fit_head,
    predicted_classes,
    stack_heads,
)
from tests.doubles import make_head

QUICK = FitOptions(num_seeds=2, max_epochs=150)


def separable(classes: int, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(classes, 10, generator=torch.Generator().manual_seed(99)) * 3 + 5
    labels = torch.arange(count * classes) % classes
    noise = torch.randn(len(labels), 10, generator=generator)
    return centers[labels] + noise, labels


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_thirty_samples_per_class_generalise(classes: int) -> None:
    latents, labels = separable(classes, 30, 0)
    fitted = fit_head(latents, labels, classes, options=QUICK)
    unseen, truth = separable(classes, 100, 1)
    assert (predicted_classes(fitted.head, unseen) == truth).double().mean() > 0.95
    assert fitted.held_out_accuracy > 0.9
    assert fitted.head.num_classes == classes


def test_the_same_seed_gives_the_same_head() -> None:
    latents, labels = separable(2, 20, 0)
    first = fit_head(latents, labels, 2, seed=4, options=QUICK)
    again = fit_head(latents, labels, 2, seed=4, options=QUICK)
    other = fit_head(latents, labels, 2, seed=5, options=QUICK)
    assert torch.equal(first.head.hidden_weight, again.head.hidden_weight)
    assert not torch.equal(first.head.hidden_weight, other.head.hidden_weight)


def test_early_stopping_ends_before_the_last_epoch_on_noise() -> None:
    latents = torch.randn(40, 10, generator=torch.manual_seed(0))
    options = replace(QUICK, max_epochs=2000, patience=20)
    fitted = fit_head(latents, torch.arange(40) % 2, 2, options=options)
    assert max(fitted.epochs) < 500


def test_a_class_without_samples_is_an_error() -> None:
    with pytest.raises(EditingError, match="at least 2 samples"):
        fit_head(torch.randn(6, 4), torch.tensor([0, 0, 0, 0, 0, 1]), 2)
    with pytest.raises(EditingError, match="at least 2 samples"):
        fit_head(torch.randn(6, 4), torch.tensor([0, 0, 0, 1, 1, 1]), 3)


@pytest.mark.parametrize("classes", [2, 4])
def test_averaged_heads_have_the_mean_of_the_logits(classes: int) -> None:
    heads = [make_head(classes, seed, units=5 + seed) for seed in range(3)]
    latents = torch.randn(6, 16)
    each = torch.stack([class_logits(stack_heads([head]), latents) for head in heads])
    merged = class_logits(stack_heads([average_heads(heads)]), latents)
    torch.testing.assert_close(merged, each.mean(dim=0))
