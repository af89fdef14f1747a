"""From an image to a latent by optimisation, as the public projectors do (StyleGAN2, appendix D).

The state is plain tensors and every step depends on it, the seed and the step's number alone: a run
can be cut into pieces, in other processes, and finds the same latent. Knows nothing about networks:
how latents become images and images features is handed in.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from editing.likeness import feature_distance, layer_spread, pixel_error
from editing.shapes import expect_shape

InversionSpace = Literal["shared", "layers"]  # one vector for all layers (w), or one each (w_plus)
Render = Callable[[Tensor], Tensor]  # latents [N, L, C] -> images [N, 3, H, W], -1..1
Features = Callable[[Tensor], list[Tensor]]  # images -> feature maps [N, ...]

_BETAS, _EPSILON = (0.9, 0.99), 1e-8


@dataclass(frozen=True)
class InversionOptions:
    """How to search; distances are in standard deviations of the generator's latents."""

    steps: int = 60
    learning_rate: float = 0.08
    ramp_up: float = 0.05  # share of steps
    ramp_down: float = 0.3
    pixel_weight: float = 4.0
    feature_weight: float = 1.0
    spread_weight: float = 0.02  # holds the layers together: towards W
    prior_weight: float = 0.002  # holds the latent towards the mean
    jitter: float = 0.05  # of the latent at first, fades: finds ways around small hollows
    patience: int = 25  # steps without a better latent before it stops
    least_gain: float = 0.005  # share of the loss that counts as better
    seed: int = 0


@dataclass(frozen=True)
class Problem:
    """What is searched for; targets and statistics do not change on the way."""

    targets: Tensor  # [N, 3, H, W], -1..1
    mean: Tensor  # [L, C], of the generator's latents
    spread: Tensor  # [L, C]
    render: Render
    features: Features | None
    space: InversionSpace = "layers"


@dataclass(frozen=True)
class InversionState:
    """A search so far, all float32 on one device; `units` are latents less mean, by spread."""

    units: Tensor  # [N, L, C], or [N, 1, C] in the shared space
    momentum: Tensor  # the two averages of Adam, as units
    power: Tensor
    best: Tensor  # the units with the smallest loss so far
    best_loss: Tensor  # [N]
    improved_at: Tensor  # [N], int64, the step that last found better ones
    step: int = 0


def begin(problem: Problem, latents: Tensor) -> InversionState:  # latents: [N, L, C]
    """A search that starts at these latents."""
    expect_shape("latents", latents, (len(problem.targets), *problem.mean.shape))
    units = (latents.float() - problem.mean) / problem.spread
    if problem.space == "shared":
        units = units.mean(dim=1, keepdim=True)
    samples = len(units)
    return InversionState(
        units,
        torch.zeros_like(units),
        torch.zeros_like(units),
        units,
        torch.full((samples,), math.inf, device=units.device),
        torch.zeros(samples, dtype=torch.int64, device=units.device),
    )


def advance(
    problem: Problem,
    state: InversionState,
    options: InversionOptions,
    should_pause: Callable[[], bool] = lambda: False,
) -> InversionState:
    """The state after some more steps: at least one, until paused or finished."""
    wanted = None
    if problem.features is not None:
        with torch.no_grad():
            wanted = problem.features(problem.targets)
    while not is_finished(state, options):
        state = _step(problem, state, wanted, options)
        if should_pause():
            break
    return state


def is_finished(state: InversionState, options: InversionOptions) -> bool:
    """Whether all steps are done, or no sample has become better for some time."""
    waited = state.step - int(state.improved_at.max()) if len(state.units) else state.step
    return state.step >= options.steps or waited > options.patience


def found_latents(problem: Problem, state: InversionState) -> Tensor:  # [N, L, C]
    """The best latents so far."""
    return to_latents(problem, state.best)


def to_latents(problem: Problem, units: Tensor) -> Tensor:  # [N, L, C]
    """Latents of units."""
    return problem.mean + problem.spread * units.expand(-1, len(problem.mean), -1)


@dataclass(frozen=True)
class InversionErrors:
    """How far reconstructions are from their targets."""

    pixel: Tensor  # [N], mean squared error of pixels in 0..1
    feature: Tensor | None  # [N], 0 is equal, about 2 is unrelated


@torch.no_grad()
def measure(problem: Problem, images: Tensor) -> InversionErrors:  # images: [N, 3, H, W]
    """Errors of reconstructions."""
    feature = None
    if problem.features is not None:
        feature = feature_distance(problem.features(images), problem.features(problem.targets))
    return InversionErrors(pixel_error(images, problem.targets), feature)


def learning_rate_at(step: int, options: InversionOptions) -> float:
    """Ramped up linearly, down by a cosine."""
    progress = step / options.steps
    down = min(1.0, (1 - progress) / max(options.ramp_down, 1e-9))
    up = min(1.0, (step + 1) / max(options.ramp_up * options.steps, 1.0))
    return options.learning_rate * (0.5 - 0.5 * math.cos(down * math.pi)) * up


def _step(
    problem: Problem,
    state: InversionState,
    wanted: Sequence[Tensor] | None,
    options: InversionOptions,
) -> InversionState:
    """One step of Adam, its loss kept if it is the best so far."""
    units = state.units.detach().clone().requires_grad_()
    fading = (1 - min(state.step / options.steps / 0.5, 1.0)) ** 2
    noise = _noise(units, options.seed, state.step) * (options.jitter * fading)
    loss = _loss(problem, units, units + noise, wanted, options)  # [N]
    (gradient,) = torch.autograd.grad(loss.sum(), units)
    loss, units = loss.detach(), units.detach()
    is_better = loss < state.best_loss * (1 - options.least_gain)
    number = state.step + 1
    momentum = _BETAS[0] * state.momentum + (1 - _BETAS[0]) * gradient
    power = _BETAS[1] * state.power + (1 - _BETAS[1]) * gradient.square()
    moved = (momentum / (1 - _BETAS[0] ** number)) / (
        (power / (1 - _BETAS[1] ** number)).sqrt() + _EPSILON
    )
    return replace(
        state,
        units=units - learning_rate_at(state.step, options) * moved,
        momentum=momentum,
        power=power,
        best=torch.where((loss < state.best_loss)[:, None, None], units, state.best),
        best_loss=torch.minimum(loss, state.best_loss),
        improved_at=torch.where(is_better, number, state.improved_at),
        step=number,
    )


def _loss(
    problem: Problem,
    units: Tensor,
    tried: Tensor,
    wanted: Sequence[Tensor] | None,
    options: InversionOptions,
) -> Tensor:  # [N]
    images = problem.render(to_latents(problem, tried))
    difference = (images - problem.targets).square().mean(dim=(1, 2, 3))
    loss = options.pixel_weight * difference
    if problem.features is not None and wanted is not None:
        found = problem.features(images)
        loss = loss + options.feature_weight * feature_distance(found, wanted)
    loss = loss + options.prior_weight * units.square().mean(dim=(1, 2))
    if units.shape[1] > 1:
        loss = loss + options.spread_weight * layer_spread(units)
    return loss


def _noise(units: Tensor, seed: int, step: int) -> Tensor:
    """Normal noise of a step; the same for every sample, so that batches change nothing."""
    drawn = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
    return torch.randn(units.shape[1:], generator=drawn).to(units.device)
