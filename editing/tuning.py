"""Pivotal tuning (Roich et al. 2021): weights move so that one latent gives one image.

Takes and gives plain tensors, never changes those it was given. Knows nothing about architectures:
`build` makes a renderer of tensors. Noise inputs among the tensors are optimised with the weights
and stay as they are found.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from editing.inversion import Features, Render
from editing.likeness import feature_distance

_BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class TuningOptions:
    """How far to go."""

    steps: int = 40
    learning_rate: float = 2e-3  # relative to each tensor's own size
    pixel_weight: float = 4.0
    feature_weight: float = 1.0
    good_enough: float = 2e-4  # pixel loss, images in -1..1, at which it stops


@dataclass(frozen=True)
class Tuned:
    """Weights for one image."""

    tensors: dict[str, Tensor]  # all of them, the tuned ones replaced
    steps: int


def tune(
    tensors: Mapping[str, Tensor],
    names: Collection[str],  # of those that may move
    build: Callable[[Mapping[str, Tensor]], Render],
    latents: Tensor,  # [N, L, C], the pivots
    targets: Tensor,  # [N, 3, H, W], -1..1
    features: Features | None,
    options: TuningOptions,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Tensors whose renderer gives the targets at the pivots, as far as the steps allow."""
    moving = {name: tensors[name].detach().clone().requires_grad_() for name in names}
    adam = torch.optim.Adam(
        [
            {"params": [tensor], "lr": options.learning_rate * _scale(tensor)}
            for tensor in moving.values()
        ],
        betas=_BETAS,
    )
    wanted = None
    if features is not None:
        with torch.no_grad():
            wanted = features(targets)
    step = 0
    while step < options.steps and not should_stop():
        images = build({**tensors, **moving})(latents)
        difference = (images - targets).square().mean()
        loss = options.pixel_weight * difference
        if features is not None and wanted is not None:
            distance = feature_distance(features(images), wanted).mean()
            loss = loss + options.feature_weight * distance
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        step += 1
        if float(difference.detach()) < options.good_enough:
            break
    found = {name: tensor.detach() for name, tensor in moving.items()}
    return Tuned({**tensors, **found}, step)


def _scale(tensor: Tensor) -> float:
    """The size of a tensor's numbers: Adam's steps are as large whatever that is."""
    return max(float(tensor.detach().square().mean().sqrt()), 0.1)
