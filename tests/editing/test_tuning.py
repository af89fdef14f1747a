"""Pivotal tuning of a linear renderer."""

from collections.abc import Mapping

import torch
from torch import Tensor

from editing import TuningOptions, tune
from editing.inversion import Render


def build(tensors: Mapping[str, Tensor]) -> Render:
    return lambda latents: (latents.flatten(1) @ tensors["weight"]).reshape(-1, 3, 4, 4)


def parts() -> tuple[dict[str, Tensor], Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(0)
    tensors = {"weight": torch.randn(6, 48, generator=drawn), "fixed": torch.ones(2)}
    latents = torch.randn(1, 2, 3, generator=drawn)
    return tensors, latents, torch.randn(1, 3, 4, 4, generator=drawn) * 0.1


def test_the_pivot_gives_the_target_and_the_given_weights_stay() -> None:
    tensors, latents, target = parts()
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    options = TuningOptions(steps=200, learning_rate=0.02)
    tuned = tune(tensors, ["weight"], build, latents, target, lambda x: [x], options)
    error = (build(tuned.tensors)(latents) - target).square().mean()
    assert error < (build(tensors)(latents) - target).square().mean() / 100
    assert all(torch.equal(tensors[name], before[name]) for name in tensors)
    assert tuned.tensors["fixed"] is tensors["fixed"]
    assert not tuned.tensors["weight"].requires_grad


def test_it_stops_when_told_and_when_it_is_good_enough() -> None:
    tensors, latents, target = parts()
    told = tune(tensors, ["weight"], build, latents, target, None, TuningOptions(), lambda: True)
    assert told.steps == 0
    easy = TuningOptions(good_enough=1e9)
    assert tune(tensors, ["weight"], build, latents, target, None, easy).steps == 1
