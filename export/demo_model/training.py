"""Trains the avatar StyleGAN2 on the CPU; can be stopped at any time and continues exactly.

`python -m export.demo_model.training --data .cache/avatars --output .cache/avatars-gan`. Step k
draws its images, flips and latents from the seed and k alone, so that a run that was stopped and
continued equals one that was not. Writes state, weights, sheets and log.txt.
"""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from export.demo_model.adversarial import (
    Players,
    StepLosses,
    StepOptions,
    play_step,
    update_average,
)
from export.demo_model.avatar_networks import (
    DISCRIMINATOR_SIZES,
    GENERATOR_SIZES,
    TRUNCATION,
    as_generator,
    fresh_discriminator,
    fresh_generator,
    trained_names,
    with_mean_w,
)
from export.demo_model.checkpoints import load_training, load_weights, save_training
from export.demo_model.dataset import TRAIN, open_split
from export.demo_model.sheets import generate, save_sheet
from export.stopping import stop_on_signal
from model_store.networks.discriminator import DiscriminatorSizes
from model_store.networks.stylegan2_initial import Stylegan2Sizes

BETAS = (0.0, 0.99)
_SHEET_SAMPLES, _SHEET_COLUMNS = 64, 16
_SHEET_SEED = 1000


@dataclass(frozen=True)
class TrainingOptions:
    """A run, beside its data."""

    images: int = 800_000  # shown in all
    seed: int = 0
    learning_rate: float = 2.5e-3
    decay_images: int = 100_000  # over the last images the rate falls to a tenth
    sheet_images: int = 20_000  # between two sheets
    save_seconds: float = 300.0
    log_images: int = 2_000
    start_from: Path | None = None  # weights to begin with, where the folder holds no state
    start_images: int = 0  # that those weights have been shown
    step: StepOptions = field(default_factory=StepOptions)
    generator_sizes: Stylegan2Sizes = GENERATOR_SIZES
    discriminator_sizes: DiscriminatorSizes = DISCRIMINATOR_SIZES


def fresh_players(options: TrainingOptions) -> Players:
    """Both networks at the start, with their optimisers."""
    generator = fresh_generator(options.generator_sizes, options.seed)
    average = {name: tensor.detach().clone() for name, tensor in generator.items()}
    discriminator = fresh_discriminator(options.discriminator_sizes, options.seed)
    trained = [generator[name] for name in trained_names(generator)]
    rate = options.learning_rate
    return Players(
        generator,
        average,
        discriminator,
        torch.optim.Adam(trained, rate, BETAS, fused=True),
        torch.optim.Adam(discriminator.parameters(), rate, BETAS, fused=True),
    )


def train(
    images: np.ndarray,  # [M, H, W, 3], uint8
    folder: Path,
    options: TrainingOptions,
    report: Callable[[str], None] = print,
    should_stop: Callable[[], bool] = lambda: False,
) -> Players:
    """Start or continue the run of a folder, until its end or until asked to stop."""
    folder.mkdir(parents=True, exist_ok=True)
    players = fresh_players(options)
    batch = options.step.batch
    first = step = load_training(folder, players, options.seed)
    if step == 0 and options.start_from is not None:
        load_weights(options.start_from, players)
        first = step = options.start_images // batch
    record = _Record(batch)
    saved_at = time.monotonic()
    with ThreadPoolExecutor(options.step.parts) as executor:
        while step * batch < options.images and not should_stop():
            record.add(_advance(players, images, step, options, executor))
            step += 1
            if _crossed(step * batch, batch, options.log_images):
                report(record.summary(step))
            if _crossed(step * batch, batch, options.sheet_images):
                _save_sheet(players, folder, step * batch)
            if time.monotonic() - saved_at > options.save_seconds:
                save_training(folder, players, step, options.seed)
                saved_at = time.monotonic()
    if step > first:
        save_training(folder, players, step, options.seed)
        report(f"saved at {step * batch} images")
    return players


def _advance(
    players: Players,
    images: np.ndarray,  # [M, H, W, 3], uint8
    step: int,
    options: TrainingOptions,
    executor: Executor,
) -> StepLosses:
    """Play one step, whose randomness depends on the seed and its number alone."""
    batch = options.step.batch
    _set_rate(players, options, step * batch)
    rng = np.random.default_rng([options.seed, step])
    real = draw_images(images, batch, rng)
    with_penalty = step % options.step.r1_interval == 0
    losses = play_step(players, real, rng, options.step, with_penalty, executor)
    update_average(players, (step + 1) * batch, options.step)
    return losses


def draw_images(
    images: np.ndarray,  # [M, H, W, 3], uint8
    batch: int,
    rng: np.random.Generator,
) -> torch.Tensor:  # [N, 3, H, W], float32, -1..1
    """Random images, half of them mirrored."""
    chosen = images[np.sort(rng.integers(len(images), size=batch))]
    mirrored = rng.random(batch) < 0.5
    chosen[mirrored] = chosen[mirrored, :, ::-1]
    return torch.from_numpy(chosen).permute(0, 3, 1, 2).float() / 127.5 - 1


class _Record:
    """Sums of losses since the last line of the log, read only when a line is written."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._reset()

    def _reset(self) -> None:
        self._losses: list[StepLosses] = []
        self._since = time.monotonic()

    def add(self, losses: StepLosses) -> None:
        self._losses.append(losses)

    def summary(self, step: int) -> str:
        """One line; starts the next sums."""
        rate = len(self._losses) * self._batch / (time.monotonic() - self._since)
        real = torch.stack([one.real_logit for one in self._losses]).mean().item()
        fake = torch.stack([one.fake_logit for one in self._losses]).mean().item()
        measured = [one.penalty for one in self._losses if one.penalty is not None]
        penalty = torch.stack(measured).mean().item() if measured else float("nan")
        self._reset()
        return (
            f"kimg {step * self._batch / 1000:7.1f}  {rate:5.1f} images/s  "
            f"real {real:+.2f}  fake {fake:+.2f}  r1 {penalty:.3f}"
        )


def _set_rate(players: Players, options: TrainingOptions, shown: int) -> None:
    left = (options.images - shown) / max(options.decay_images, 1)
    rate = options.learning_rate * min(1.0, max(0.1, left))
    for adam in (players.generator_adam, players.discriminator_adam):
        adam.param_groups[0]["lr"] = rate


def _crossed(shown: int, batch: int, every: int) -> bool:
    return shown // every > (shown - batch) // every


def _save_sheet(players: Players, folder: Path, shown: int) -> None:
    """64 samples of the averaged weights at the default psi, the same without truncation below."""
    generator = as_generator(with_mean_w(players.average))
    rng = np.random.default_rng(_SHEET_SEED)
    z = rng.standard_normal((_SHEET_SAMPLES, generator.card.z_dim), dtype=np.float32)
    sheets = [generate(generator, torch.from_numpy(z), psi) for psi in (TRUNCATION, 1.0)]
    save_sheet(
        np.concatenate(sheets), _SHEET_COLUMNS, folder / f"sheet-{shown // 1000:05d}-kimg.png"
    )


def main() -> None:
    """The command."""
    defaults = TrainingOptions()
    parser = ArgumentParser(description="train the avatar StyleGAN2")
    parser.add_argument("--data", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--output", type=Path, required=True, help="folder to start or continue")
    parser.add_argument("--kimg", type=float, default=defaults.images / 1000)
    parser.add_argument("--decay-kimg", type=float, default=defaults.decay_images / 1000)
    parser.add_argument("--r1-gamma", type=float, default=defaults.step.r1_gamma)
    parser.add_argument("--start-from", type=Path, help="folder of weights to begin with")
    parser.add_argument("--start-kimg", type=float, default=0.0, help="images those were shown")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the parts of a batch are the parallel work
    options = TrainingOptions(
        images=int(arguments.kimg * 1000),
        decay_images=int(arguments.decay_kimg * 1000),
        seed=arguments.seed,
        start_from=arguments.start_from,
        start_images=int(arguments.start_kimg * 1000),
        step=StepOptions(r1_gamma=arguments.r1_gamma),
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    with stop_on_signal() as stopping, (arguments.output / "log.txt").open("a", buffering=1) as log:
        images = open_split(arguments.data, TRAIN).images
        train(images, arguments.output, options, lambda line: print(line, file=log), stopping)


if __name__ == "__main__":
    main()
