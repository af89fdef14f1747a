"""What inverts the images of a stored model, and its steps: place, guess, search, tune, measure.

Joins the parts of a model (generator, encoder, features, face finder) with the search of editing.
Knows nothing about processes, HTTP or how long anybody wants to wait.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from editing import Problem, Tuned, TuningOptions, to_latents, tune
from model_store.cards import ModelCard, Space
from model_store.encoders import read_encoder
from model_store.face_finders import face_finder
from model_store.generators import Generator
from model_store.networks.encoder import Encoder
from model_store.perceptual import FeatureKind, Features, features_of
from model_store.photos import (
    CELEBA_TEMPLATE,
    FaceFinder,
    Placement,
    crop,
    place_face,
    square,
)
from model_store.store import StoredModel, generator_of

InversionMode = Literal["encoder", "optimize", "pivotal"]
MODES: tuple[InversionMode, ...] = ("encoder", "optimize", "pivotal")
_STATISTICS_SAMPLES, _STATISTICS_SEED = 4096, 0
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class Inverter:
    """A model that can invert images; everything on one device."""

    generator: Generator
    encoder: Encoder | None
    features: Features | None
    feature_kind: FeatureKind
    mean: Tensor  # [L, C], of latents without truncation
    spread: Tensor  # [L, C]
    finder: FaceFinder | None
    device: torch.device

    @property
    def card(self) -> ModelCard:
        """Facts about the model."""
        return self.generator.card

    @property
    def modes(self) -> tuple[InversionMode, ...]:
        """What it can do: nobody guesses without an encoder."""
        return MODES if self.encoder is not None else MODES[1:]

    def identity(self, one: np.ndarray, other: np.ndarray) -> float | None:
        """Likeness of two faces [R, R, 3], uint8, 1 for the same; None where nothing can tell."""
        if self.finder is None:
            return None
        return self.finder.likeness(one, other)


def load_inverter(
    model: StoredModel,
    generator: Generator,
    device: torch.device,
    script: Path | None = None,  # a TorchScript network for features
) -> Inverter:
    """The inverter of a model whose generator is loaded; CorruptModelError for bad files."""
    encoder = read_encoder(model)
    features, kind = features_of(model, script, device)
    mean, spread = latent_statistics(generator)
    if encoder is not None:
        encoder = encoder.to(device)
    return Inverter(
        generator,
        encoder,
        features,
        kind,
        mean.to(device),
        spread.to(device),
        face_finder(model),
        device,
    )


def modes_of(card: ModelCard) -> tuple[InversionMode, ...]:
    """The modes of a model by its card."""
    return MODES if "encoder.safetensors" in card.files else MODES[1:]


def inversion_spaces(card: ModelCard) -> tuple[Space, ...]:
    """Spaces in which a latent can be searched; the first is the default."""
    return ("z",) if card.edit_space == "z" else ("w_plus", "w")


def latent_statistics(generator: Generator) -> tuple[Tensor, Tensor]:  # [L, C] each, float32, CPU
    """Mean and standard deviation of latents over samples without truncation."""
    card = generator.card
    drawn = torch.Generator().manual_seed(_STATISTICS_SEED)
    z = torch.randn(_STATISTICS_SAMPLES, card.z_dim, generator=drawn)
    classes = None
    if card.c_dim:
        chosen = torch.randint(card.c_dim, (len(z),), generator=drawn)
        classes = torch.nn.functional.one_hot(chosen, card.c_dim).float()
    with torch.inference_mode():
        latents = generator.mapping(z, classes).float().cpu()
    return latents.mean(dim=0).clone(), latents.std(dim=0).clamp(min=_LEAST_SPREAD).clone()


def place(
    inverter: Inverter,
    photo: np.ndarray,  # [H, W, 3], uint8
    align: bool,
) -> tuple[np.ndarray, Placement]:  # [R, R, 3], uint8
    """The model's square of a photo: around its only face, or its middle; and where that was."""
    side = inverter.card.resolution
    if align and inverter.finder is not None:
        placement = place_face(inverter.finder.find(photo), CELEBA_TEMPLATE)
        return crop(photo, placement, side), placement
    height, width, _ = photo.shape
    shorter = min(height, width)
    left, top = (width - shorter) // 2, (height - shorter) // 2
    middle = np.array([[shorter, 0, left], [0, shorter, top]], dtype=np.float64)
    return square(photo, side), Placement(middle)


def problem_of(inverter: Inverter, target: np.ndarray, space: Space) -> Problem:
    """The search for a target [R, R, 3], uint8, in one of the model's inversion spaces."""
    pixels = torch.from_numpy(target.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    return Problem(
        pixels.to(inverter.device),
        inverter.mean,
        inverter.spread,
        inverter.generator.synthesis,
        inverter.features,
        "shared" if space == "w" else "layers",
    )


@torch.no_grad()
def first_guess(inverter: Inverter, problem: Problem) -> Tensor:  # [N, L, C]
    """The encoder's latents, or the mean without one."""
    if inverter.encoder is None:
        return inverter.mean.expand(len(problem.targets), -1, -1)
    guessed = inverter.encoder(problem.targets)
    if problem.space == "shared":
        units = ((guessed - inverter.mean) / inverter.spread).mean(dim=1, keepdim=True)
        return to_latents(problem, units)
    return guessed


def tune_generator(
    inverter: Inverter,
    problem: Problem,
    latents: Tensor,  # [N, L, C]
    options: TuningOptions,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[Inverter, int]:
    """The inverter with a generator for these targets alone, and the steps it took.

    The generator that was given stays as it is.
    """
    card, tensors = inverter.card, inverter.generator.state()

    def build(changed: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
        return generator_of(card, changed).synthesis

    tuned: Tuned = tune(
        tensors,
        tunable_names(tensors),
        build,
        latents.detach(),
        problem.targets,
        problem.features,
        options,
        should_stop,
    )
    generator = generator_of(card, tuned.tensors).to(inverter.device, torch.float32)
    return replace(inverter, generator=generator), tuned.steps


def tunable_names(tensors: Collection[str]) -> list[str]:
    """Tensors of the synthesis that tuning may move: latents keep their meaning."""
    fixed = ("mapping.", "synthesis.resample_filter", "synthesis.input.")
    ends = ("noise_strength", "w_avg", "magnitude_ema", "filter")
    return [name for name in tensors if not name.startswith(fixed) and not name.endswith(ends)]
