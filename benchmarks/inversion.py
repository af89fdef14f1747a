"""Inversion of images that a model has not made, and edits from there.

For each model and mode: error and time of each image, and what becomes of edits that start at the
found latents, beside edits of sampled latents. Avatars are rendered drawings of the held-out split
(`--avatars`, made by export/demo_model/dataset.py); for `celeba` they are held-out samples through
JPEG, and the sampled latents are the very ones that made them. One torch thread; `cpu s` is time of
that thread, which other work on the machine does not change.

    python -m benchmarks.inversion avatars celeba --images 100
"""

import argparse
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor

from editing import walk_latents
from export.demo_model.dataset import HELD_OUT, open_split
from export.inverting import LocalInversion, invert_square
from export.labelers.avatars_judge import judge_labels
from export.labeling import background_labels, face_api_labels
from export.labels import AttributeLabels
from export.sampling import sample_latents
from export.strips import LocalModel, load_local
from model_store import (
    MODES,
    AttributeCard,
    Generator,
    InversionMode,
    find_model,
    load_inverter,
    plan_edit,
    to_pixels,
    walk_plan,
)

FIRST_SEED = 2_500_000_000  # of held-out samples; no bank or training reaches it
JPEG_QUALITY = 90
AGE_BOUNDARY_YEARS = 30.0  # both sides of a comparison are read with the same one
_BATCH = 50
console = Console(width=160)


@dataclass
class Rates:
    """Edits of one kind of start."""

    reached: list[bool] = field(default_factory=list)
    accurate: list[bool] = field(default_factory=list)

    @property
    def success(self) -> float:
        """Share that shows the target."""
        return float(np.mean(self.reached))

    @property
    def accuracy(self) -> float:
        """Share that shows the target and no other change."""
        return float(np.mean(self.accurate))


@dataclass(frozen=True)
class Timed:
    """An inversion and how long it took, seconds."""

    found: LocalInversion
    cpu_s: float
    wall_s: float


def read_labels_of(name: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """Class indices [N] per attribute, by image classifiers."""
    labels: dict[str, AttributeLabels]
    if name == "avatars":
        labels = judge_labels(images)
    else:
        labels = face_api_labels(images, age_boundary=AGE_BOUNDARY_YEARS)
        labels |= background_labels(images)
    return {name: one.labels() for name, one in labels.items()}


def through_jpeg(pixels: np.ndarray) -> np.ndarray:
    """What JPEG leaves of [H, W, 3], uint8."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return np.array(Image.open(file))


@torch.inference_mode()
def held_out(
    name: str, count: int, avatars: Path, generator: Generator
) -> tuple[np.ndarray, Tensor]:
    """Images [N, R, R, 3] to invert, and sampled latents [N, L, C] to compare with."""
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    latents = sample_latents(generator, seeds, generator.card.truncation)
    if name == "avatars":
        return np.array(open_split(avatars, HELD_OUT).images[:count]), latents
    rendered = to_pixels(generator.synthesis(latents))
    return np.stack([through_jpeg(one) for one in rendered]), latents


def invert_all(name: str, images: np.ndarray, mode: InversionMode) -> list[Timed]:
    """Every image by itself, as the service does it."""
    model = find_model(name)
    inverter = load_inverter(model, model.generator(), torch.device("cpu"))
    invert_square(inverter, images[0], mode, steps=1)  # allocates what the first call allocates
    timed = []
    for image in track(images, description=f"{name} {mode}", console=console):
        cpu, wall = time.thread_time(), time.perf_counter()
        found = invert_square(inverter, image, mode)
        timed.append(Timed(found, time.thread_time() - cpu, time.perf_counter() - wall))
    return timed


def edit_all(
    name: str,
    model: LocalModel,
    latents: Tensor,  # [N, L, C]
    generators: Sequence[Generator],  # one per sample
    shown: np.ndarray,  # [N, R, R, 3], what edits start from
) -> Rates:
    """Every attribute of every start to another class, at the card's defaults."""
    rates, before = Rates(), read_labels_of(name, shown)
    for attribute in model.generator.card.attributes:
        targets = _other_classes(before[attribute.name], attribute)
        ended = _walked(model, latents, attribute, targets)
        after = read_labels_of(name, _rendered(generators, ended))
        reached = after[attribute.name] == targets
        same = np.ones(len(targets), dtype=bool)
        for other in model.generator.card.attributes:
            if other.name != attribute.name:
                same &= after[other.name] == before[other.name]
        rates.reached += reached.tolist()
        rates.accurate += (reached & same).tolist()
    return rates


def _other_classes(labels: np.ndarray, attribute: AttributeCard) -> np.ndarray:
    """A class that differs from each label, drawn once and for all."""
    classes = len(attribute.classes)
    steps = np.random.default_rng(0).integers(1, classes, len(labels))
    return (labels + steps) % classes


@torch.inference_mode()
def _walked(
    model: LocalModel, latents: Tensor, attribute: AttributeCard, targets: np.ndarray
) -> Tensor:  # [N, L, C]
    """The ends of walks from these latents."""
    card = model.generator.card
    edits = [plan_edit(card, attribute.name, attribute.classes[target]) for target in targets]
    plan, ranges = walk_plan(edits, latents.device)
    return walk_latents(model.heads, latents, plan, ranges).latents[:, -1]


@torch.inference_mode()
def _rendered(generators: Sequence[Generator], latents: Tensor) -> np.ndarray:
    """Images of latents, each by its own generator."""
    if len({id(one) for one in generators}) == 1:
        chunks = [to_pixels(generators[0].synthesis(some)) for some in latents.split(_BATCH)]
        return np.concatenate(chunks)
    pairs = zip(generators, latents, strict=True)
    return np.concatenate([to_pixels(one.synthesis(latent[None])) for one, latent in pairs])


def measure_model(
    name: str, count: int, avatars: Path, modes: Sequence[InversionMode]
) -> Iterator[str]:
    """Rows of the table of one model, each as soon as it is known."""
    model = load_local(find_model(name))
    images, sampled = held_out(name, count, avatars, model.generator)
    own = [model.generator] * count
    base = edit_all(name, model, sampled, own, _rendered(own, sampled))
    yield _row(name, "sampled latents", "-", "-", "-", "-", base, base)
    for mode in modes:
        timed = invert_all(name, images, mode)
        latents = torch.cat([one.found.latents for one in timed])
        generators = [one.found.inverter.generator for one in timed]
        rates = edit_all(name, model, latents, generators, images)
        errors = np.array([one.found.error for one in timed])
        features = np.array([one.found.feature_error or np.nan for one in timed])
        cpu = np.array([one.cpu_s for one in timed])
        yield _row(
            name,
            mode,
            f"{errors.mean():.4f} ({np.quantile(errors, 0.95):.4f})",
            f"{features.mean():.3f}",
            f"{np.mean([one.found.steps for one in timed]):.0f}",
            f"{np.median(cpu):.3f} / {np.quantile(cpu, 0.95):.3f}",
            rates,
            base,
        )


def _row(
    name: str,
    what: str,
    error: str,
    features: str,
    steps: str,
    seconds: str,
    rates: Rates,
    base: Rates,
) -> str:
    share = rates.success / base.success if base.success else float("nan")
    return (
        f"| {name} | {what} | {error} | {features} | {steps} | {seconds} | "
        f"{rates.success:.2f} | {share:.2f} | {rates.accuracy:.2f} | {len(rates.reached)} |"
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="inversion: error, time, edits from there")
    parser.add_argument("models", nargs="+", choices=["avatars", "celeba"])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--avatars", type=Path, default=Path(".cache/avatars"))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| model | starts | error, mean (95 %) | features | steps | cpu s, median / 95 % | "
        "success | of sampled | accuracy | edits |\n" + "|---" * 10 + "|",
        flush=True,
    )
    for name in arguments.models:
        for row in measure_model(name, arguments.images, arguments.avatars, arguments.modes):
            print(row, flush=True)


if __name__ == "__main__":
    main()
