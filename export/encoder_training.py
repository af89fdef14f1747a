"""`gradctrl train-encoder`: teaches a network to guess the latents of a model's images.

On samples of the generator it learns their latents and their images; on images of a dataset, whose
latents nobody knows, only the images, held towards W by a penalty on how far layers differ. Inputs
are damaged by chance (JPEG, blur, noise, light), targets are not. Step k depends on the seed and k
alone and the state is saved, so a run that was stopped continues as if it had not been. Knows
nothing about where images come from.
"""

import os
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from editing import feature_distance, layer_spread
from export.demo_model.degradations import add_noise, blur, compress, relight
from export.errors import EncoderTrainingError
from model_store import (
    Encoder,
    EncoderSizes,
    Generator,
    StoredModel,
    channels_for,
    features_of,
    latent_statistics,
)

STATE_FILE = "encoder-training.pt"
BETAS = (0.9, 0.99)
_DAMAGED = 0.5  # share of inputs
_JPEG_QUALITIES = (50, 96)

Report = Callable[[int, int, float], None]  # steps done, steps in all, loss


@dataclass(frozen=True)
class EncoderOptions:
    """A run, beside its model and images."""

    steps: int = 2600
    batch: int = 16  # samples, and as many dataset images where there are any
    seed: int = 0
    learning_rate: float = 2e-3
    latents_only: float = 0.75  # share of steps, the first, that do not render guesses: cheap
    latent_weight: float = 0.5
    pixel_weight: float = 4.0
    feature_weight: float = 1.0
    spread_weight: float = 0.05  # of the penalty on layers that differ, for dataset images
    mixing: float = 0.5  # share of samples whose layers come from two w
    save_seconds: float = 60.0


@dataclass
class _Training:
    """Everything that training changes."""

    encoder: Encoder
    adam: torch.optim.Adam


@dataclass(frozen=True)
class _Teacher:
    """Everything that it does not change."""

    generator: Generator  # bfloat16
    features: Callable[[Tensor], list[Tensor]] | None
    images: np.ndarray | None  # [M, H, W, 3], uint8, of a dataset
    truncations: tuple[float, float]
    options: EncoderOptions


def train_encoder(
    model: StoredModel,
    folder: Path,
    options: EncoderOptions,
    images: np.ndarray | None = None,  # [M, H, W, 3], uint8, of the model's resolution
    report: Report = lambda done, total, loss: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Encoder:
    """Start or continue the run of a folder; the encoder as it is at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = model.generator()
    teacher = _Teacher(
        generator.to("cpu", torch.bfloat16),
        _stored_features(model),
        images,
        (model.card.truncation, 1.0),
        options,
    )
    training = _fresh(generator, options)
    first = step = _load(folder, training, options)
    saved_at = time.monotonic()
    while step < options.steps and not should_stop():
        loss = _advance(training, teacher, step)
        step += 1
        report(step, options.steps, loss)
        if time.monotonic() - saved_at > options.save_seconds:
            _save(folder, training, step, options)
            saved_at = time.monotonic()
    if step > first:
        _save(folder, training, step, options)
    return training.encoder.eval().requires_grad_(False)


def _stored_features(model: StoredModel) -> Callable[[Tensor], list[Tensor]] | None:
    """The discriminator's; an encoder cannot teach its successor."""
    features, kind = features_of(model)
    return features if kind == "discriminator" else None


def _fresh(generator: Generator, options: EncoderOptions) -> _Training:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        sizes = EncoderSizes(generator.card.latent_shape, channels_for(generator.card.resolution))
        encoder = Encoder(sizes)
    encoder.mean, encoder.spread = latent_statistics(generator)
    adam = torch.optim.Adam(encoder.parameters(), options.learning_rate, BETAS, fused=True)
    return _Training(encoder, adam)


def _advance(training: _Training, teacher: _Teacher, step: int) -> float:
    """One step; its loss."""
    options = teacher.options
    rng = np.random.default_rng([options.seed, step])
    progress = step / options.steps
    rate = options.learning_rate * min(1.0, (step + 1) / 100, 2 * (1 - progress) + 0.01)
    training.adam.param_groups[0]["lr"] = rate
    latents, rendered = _sampled(teacher, rng)
    loss = _loss(training.encoder, teacher, latents, rendered, rng, progress)
    training.adam.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(training.encoder.parameters(), 1.0)
    training.adam.step()
    return loss.item()


def _loss(
    encoder: Encoder,
    teacher: _Teacher,
    latents: Tensor,  # [N, L, C]
    rendered: Tensor,  # [N, 3, H, W]
    rng: np.random.Generator,
    progress: float,
) -> Tensor:
    options, samples = teacher.options, len(latents)
    renders_guess = progress >= options.latents_only
    targets = rendered
    if renders_guess and teacher.images is not None:
        targets = torch.cat([rendered, _drawn(teacher.images, samples, rng)])
    with torch.autocast("cpu", torch.bfloat16):
        guessed = encoder(_damaged(targets, rng))
    guessed = guessed.float()
    scaled = (guessed[:samples] - latents) / encoder.spread
    loss = options.latent_weight * scaled.square().mean()
    if not renders_guess:
        return loss
    again = teacher.generator.synthesis(guessed)
    loss = loss + options.pixel_weight * (again - targets).square().mean()
    if teacher.features is not None:
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                wanted = teacher.features(targets)
            found = teacher.features(again)
        loss = loss + options.feature_weight * feature_distance(found, wanted).mean()
    if len(targets) > samples and guessed.shape[1] > 1:
        spread = layer_spread(guessed[samples:] / encoder.spread)
        loss = loss + options.spread_weight * spread.mean()
    return loss


@torch.inference_mode()
def _sampled(teacher: _Teacher, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Latents [N, L, C] and their images [N, 3, H, W]."""
    generator, options = teacher.generator, teacher.options
    z = _normal(rng, 2 * options.batch, generator.card.z_dim)
    classes = _classes(generator, rng, len(z))
    psi = float(rng.uniform(*teacher.truncations))
    first, second = generator.mapping(z, classes, psi).chunk(2)
    layers = first.shape[1]
    if layers > 1:
        crossover = rng.integers(1, layers, options.batch)
        crossover[rng.random(options.batch) >= options.mixing] = layers
        is_first = torch.arange(layers) < torch.from_numpy(crossover)[:, None]
        first = torch.where(is_first[:, :, None], first, second)
    images = generator.synthesis(first).clamp(-1, 1)
    return first.clone(), images.clone()


def _classes(generator: Generator, rng: np.random.Generator, samples: int) -> Tensor | None:
    """One-hot classes [N, c_dim] of a conditional model."""
    if not generator.card.c_dim:
        return None
    drawn = torch.from_numpy(rng.integers(generator.card.c_dim, size=samples))
    return functional.one_hot(drawn, generator.card.c_dim).float()


def _drawn(images: np.ndarray, count: int, rng: np.random.Generator) -> Tensor:
    """Images [N, 3, H, W] of a dataset, -1..1, half of them mirrored."""
    chosen = np.stack([images[i] for i in rng.integers(len(images), size=count)])
    tensor = torch.from_numpy(chosen).permute(0, 3, 1, 2).float() / 127.5 - 1
    mirrored = torch.from_numpy(rng.random(count) < 0.5)[:, None, None, None]
    return torch.where(mirrored, tensor.flip(3), tensor)


def _damaged(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Copies [N, 3, H, W], -1..1, a share of them as cameras and files leave them."""
    damaged = (images + 1) * 127.5
    damaged = blur(damaged, float(rng.uniform(0.3, 1.0)))
    damaged = compress(relight(damaged, rng), int(rng.integers(*_JPEG_QUALITIES)))
    levels = rng.uniform(0, 8, len(images)).astype(np.float32)
    damaged = add_noise(damaged, levels, rng) / 127.5 - 1
    is_damaged = torch.from_numpy(rng.random(len(images)) < _DAMAGED)[:, None, None, None]
    return torch.where(is_damaged, damaged, images)


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _lasting(options: Mapping[str, object]) -> dict[str, object]:
    """What a continued run must share; of another length, its rate falls to the new end."""
    return {name: value for name, value in options.items() if name not in ("steps", "save_seconds")}


def _save(folder: Path, training: _Training, step: int, options: EncoderOptions) -> None:
    state = {
        "step": step,
        "options": asdict(options),
        "encoder": training.encoder.state_dict(),
        "adam": training.adam.state_dict(),
    }
    path = folder / STATE_FILE
    unfinished = path.with_suffix(".part")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def _load(folder: Path, training: _Training, options: EncoderOptions) -> int:
    """Fill the training from a folder, give back the step; 0 where there is nothing yet."""
    path = folder / STATE_FILE
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if _lasting(state["options"]) != _lasting(asdict(options)):
            raise EncoderTrainingError(f"{path}: another run; choose an empty folder")
        training.encoder.load_state_dict(state["encoder"])
        training.adam.load_state_dict(state["adam"])
    except (OSError, KeyError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise EncoderTrainingError(f"{path}: not a state of this run: {error}") from error
    return int(state["step"])
