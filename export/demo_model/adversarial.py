"""One step of the game between generator and discriminator: losses, penalty, average weights.

Non-saturating loss (Goodfellow et al. 2014), lazy R1 (Mescheder et al. 2018; Karras et al. 2020).
A batch is played in parts, one per thread, whose gradients are averaged: on a CPU that others use
too, threads that wait for each other three times a step lose far less than threads inside every
operator (64 against 31 images/s beside one busy process). Knows nothing about files or schedules.
"""

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from export.demo_model.avatar_networks import as_generator, num_blocks, trained_names
from model_store.networks.discriminator import Discriminator
from model_store.networks.stylegan2 import Stylegan2


@dataclass(frozen=True)
class StepOptions:
    """What a step depends on beside the weights."""

    batch: int = 16
    parts: int = 2  # of a batch, each a multiple of the discriminator's groups
    r1_gamma: float = 0.5
    r1_interval: int = 16  # steps
    mixing: float = 0.5  # share of samples with two w
    average_images: int = 10_000  # half-life of the averaged weights
    average_rampup: float = 0.05  # shorter at first: at most this share of the images so far
    dtype: torch.dtype = torch.bfloat16  # of convolutions; weights are float32


@dataclass
class Players:
    """Everything that training changes."""

    generator: dict[str, Tensor]
    average: dict[str, Tensor]  # of the generator's weights, over the last images
    discriminator: Discriminator
    generator_adam: torch.optim.Adam
    discriminator_adam: torch.optim.Adam


@dataclass(frozen=True)
class StepLosses:
    """Detached means over the batch."""

    real_logit: Tensor
    fake_logit: Tensor
    penalty: Tensor | None  # squared gradient length, in the steps that measure it


@dataclass(frozen=True)
class LatentDraw:
    """Random numbers of a part's latents."""

    z: Tensor  # [2 * N, z_dim]
    crossover: Tensor  # [N, 1], first layer of the second w


@dataclass(frozen=True)
class _Part:
    """What one thread found."""

    value: Tensor  # mean logits [2], real and fake; mean penalty; mean loss
    gradients: tuple[Tensor, ...]
    fake: Tensor | None = None  # [N, 3, H, W], with its graph


def play_step(
    players: Players,
    real: Tensor,  # [N, 3, H, W], -1..1
    rng: np.random.Generator,
    options: StepOptions,
    with_penalty: bool,
    executor: Executor,
) -> StepLosses:
    """Discriminator, penalty and generator steps on one batch of generated images.

    The generator runs once: its images teach the discriminator first and come back to it after.
    """
    reals = real.chunk(options.parts)
    draws = [draw_latents(players, len(part), rng, options) for part in reals]

    def teach(part: Tensor, draw: LatentDraw) -> _Part:
        return _teach(players, part, draw, options)

    def penalise(part: Tensor) -> _Part:
        return _penalise(players, part, options)

    def improve(part: _Part) -> _Part:
        return _improve(players, part, options)

    taught = list(executor.map(teach, reals, draws))
    _apply(players.discriminator_adam, taught)
    penalty = None
    if with_penalty:
        penalised = list(executor.map(penalise, reals))
        _apply(players.discriminator_adam, penalised)
        penalty = _mean(penalised)
    _apply(players.generator_adam, list(executor.map(improve, taught)))
    real_logit, fake_logit = _mean(taught)
    return StepLosses(real_logit, fake_logit, penalty)


def update_average(players: Players, images_shown: int, options: StepOptions) -> None:
    """Move the averaged weights towards the generator's, with a half-life in images."""
    half_life = min(options.average_images, images_shown * options.average_rampup)
    keep = math.pow(0.5, options.batch / max(half_life, 1e-8))
    with torch.no_grad():
        for name in trained_names(players.generator):
            players.average[name].lerp_(players.generator[name], 1 - keep)


def draw_latents(
    players: Players, samples: int, rng: np.random.Generator, options: StepOptions
) -> LatentDraw:
    """Two z per sample, and where the second takes over: for most beyond the last layer."""
    layers = 2 * num_blocks(players.generator)
    z_dim = players.generator["mapping.fc0.weight"].shape[1]
    z = rng.standard_normal((2 * samples, z_dim), dtype=np.float32)
    crossover = rng.integers(1, layers, samples)
    crossover[rng.random(samples) >= options.mixing] = layers
    return LatentDraw(torch.from_numpy(z), torch.from_numpy(crossover)[:, None])


def mixed_latents(generator: Stylegan2, draw: LatentDraw) -> Tensor:  # [N, L, w_dim]
    """w_plus whose layers from the crossover on come from the second w."""
    first, second = generator.mapping(draw.z).chunk(2)
    is_first = torch.arange(generator.layout.num_ws) < draw.crossover  # [N, L]
    return torch.where(is_first[:, :, None], first, second)


def _teach(players: Players, real: Tensor, draw: LatentDraw, options: StepOptions) -> _Part:
    """The discriminator's gradients from one part of the batch."""
    # Each part prepares its own weights: a graph can be walked back by one thread alone.
    generator = as_generator(players.generator, options.dtype)
    fake = generator.synthesis(mixed_latents(generator, draw))
    both = torch.cat([real, fake.detach()])
    on_real, on_fake = _logits(players.discriminator, both, options).chunk(2)
    loss = functional.softplus(-on_real).mean() + functional.softplus(on_fake).mean()
    gradients = torch.autograd.grad(loss, list(players.discriminator.parameters()))
    means = torch.stack([on_real.detach().mean(), on_fake.detach().mean()])
    return _Part(means, gradients, fake)


def _penalise(players: Players, real: Tensor, options: StepOptions) -> _Part:
    """Gradients of R1: half the mean squared length of the logits' gradient in the images."""
    images = real.detach().clone().requires_grad_()
    total = _logits(players.discriminator, images, options).sum()
    (slope,) = torch.autograd.grad(total, images, create_graph=True)
    penalty = slope.square().sum(dim=(1, 2, 3)).mean()
    weighted = penalty * (options.r1_gamma / 2 * options.r1_interval)
    parameters = list(players.discriminator.parameters())
    # The last bias moves all logits alike and has no part in the penalty.
    gradients = torch.autograd.grad(weighted, parameters, materialize_grads=True, allow_unused=True)
    return _Part(penalty.detach(), gradients)


def _improve(players: Players, part: _Part, options: StepOptions) -> _Part:
    """The generator's gradients through the taught discriminator."""
    assert part.fake is not None
    loss = functional.softplus(-_logits(players.discriminator, part.fake, options)).mean()
    trained = [players.generator[name] for name in trained_names(players.generator)]
    return _Part(loss.detach(), torch.autograd.grad(loss, trained))


def _logits(discriminator: Discriminator, images: Tensor, options: StepOptions) -> Tensor:
    with torch.autocast("cpu", options.dtype, enabled=options.dtype != torch.float32):
        return discriminator(images)  # [N]


def _apply(adam: torch.optim.Adam, parts: Sequence[_Part]) -> None:
    """One step with the mean of the parts' gradients."""
    parameters = adam.param_groups[0]["params"]
    for parameter, *gradients in zip(parameters, *(p.gradients for p in parts), strict=True):
        parameter.grad = torch.stack(gradients).mean(dim=0)
    adam.step()
    adam.zero_grad(set_to_none=True)


def _mean(parts: Sequence[_Part]) -> Tensor:
    return torch.stack([part.value for part in parts]).mean(dim=0)
