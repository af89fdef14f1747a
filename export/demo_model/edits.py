"""Measures edits of `avatars` by the judge, and chooses each attribute's defaults by them.

`python -m export.demo_model.edits tune` walks from validation samples with several lengths, layer
ranges and masks and keeps what reaches the target most often and most cleanly;
`python -m export.demo_model.edits measure` reports success and accuracy on test samples that the
choice never saw. Knows nothing about training.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from editing import apply_deltas, edited_point, walk
from export.banks import sample_latents
from export.demo_model.avatar_networks import NAME, TRUNCATION
from export.demo_model.judge import Judge
from export.strips import LocalModel, load_local
from export.training import write_heads
from model_store import (
    AttributeCard,
    EditDefaults,
    Exclusion,
    ModelCard,
    PlannedEdit,
    find_model,
    plan_edit,
    save_attributes,
    to_pixels,
    walk_plan,
)

VALIDATION_SEEDS = 1_000_000  # first seed; banks start at 0
TEST_SEEDS = 2_000_000
FRAMES = 9  # of an edit, the unedited one among them
_BATCH = 50
_LENGTHS = (1.5, 2.5, 3.5, 5.0, 7.0, 10.0)  # L2, in w
_LAYERS = ((0, 10), (0, 4), (0, 6), (2, 6), (2, 8), (4, 8), (4, 10), (6, 10))
_TOP_K = (0, 6, 13, 26)  # of 128 channels, of every other attribute


@dataclass(frozen=True)
class Outcome:
    """What became of edits of one attribute."""

    start: np.ndarray  # [N], int64, class before
    target: np.ndarray  # [N], int64
    reached: np.ndarray  # [N], bool, the judge reads the target
    accurate: np.ndarray  # [N], bool, ... and every other attribute as before

    @property
    def accuracy(self) -> float:
        """Share of edits that changed the target and nothing else."""
        return float(self.accurate.mean())

    @property
    def worth(self) -> float:
        """What defaults are chosen by: reaching the target counts as much as doing it cleanly.

        By accuracy alone the shortest walks win, which mostly reach nothing.
        """
        return float(self.reached.mean() + self.accurate.mean()) / 2


@dataclass(frozen=True)
class Samples:
    """Unedited samples and what the judge reads in them."""

    latents: Tensor  # [N, L, C]
    labels: dict[str, np.ndarray]  # attribute -> [N]


def draw_samples(model: LocalModel, judge: Judge, first_seed: int, count: int) -> Samples:
    """Samples of consecutive seeds at the default psi."""
    latents = sample_latents(model.generator, range(first_seed, first_seed + count), TRUNCATION)
    return Samples(latents, judge.read(_render(model, latents)).labels())


def edit_samples(
    model: LocalModel,
    judge: Judge,
    samples: Samples,
    attribute: AttributeCard,
    defaults: EditDefaults,
    seed: int = 0,
) -> Outcome:
    """Every sample to another class than it has, drawn uniformly."""
    before = samples.labels[attribute.name]
    target = draw_targets(before, len(attribute.classes), seed)
    card = model.generator.card
    edits = [_planned(card, attribute, attribute.classes[t], defaults) for t in target]
    plan, ranges = walk_plan(edits, samples.latents.device)
    start = edited_point(samples.latents, ranges)
    path = walk(model.heads, start, plan)
    last = path.points[torch.arange(len(edits)), path.steps_taken]  # [N, C]
    moved = apply_deltas(samples.latents, (last - start)[:, None], ranges)[:, 0]
    after = judge.read(_render(model, moved)).labels()
    same = np.ones(len(edits), dtype=bool)
    for name, labels in after.items():
        if name != attribute.name:
            same &= labels == samples.labels[name]
    reached = after[attribute.name] == target
    return Outcome(before, target, reached, reached & same)


def draw_targets(before: np.ndarray, num_classes: int, seed: int) -> np.ndarray:
    """For each class [N] another one, uniformly."""
    shift = np.random.default_rng(seed).integers(1, num_classes, len(before))
    return (before + shift) % num_classes


@dataclass(frozen=True)
class Choice:
    """One candidate."""

    length: float  # L2 of the whole walk
    layers: tuple[int, int]
    top_k: int  # of every other attribute

    def defaults(self, others: Sequence[str]) -> EditDefaults:
        """As a card states it."""
        masks = [Exclusion(attribute=name, top_k=self.top_k) for name in others if self.top_k]
        steps = FRAMES - 1
        return EditDefaults(
            steps=steps,
            step_size=round(self.length / steps, 4),
            exclude=tuple(masks),
            layers=self.layers,
        )


# One setting is varied at a time; the length again once the layers are known.
_ROUNDS: tuple[Callable[[Choice], list[Choice]], ...] = (
    lambda chosen: [replace(chosen, length=length) for length in _LENGTHS],
    lambda chosen: [replace(chosen, layers=layers) for layers in _LAYERS],
    lambda chosen: [replace(chosen, length=length) for length in _LENGTHS],
    lambda chosen: [replace(chosen, top_k=top_k) for top_k in _TOP_K],
)


def choose_defaults(
    model: LocalModel, judge: Judge, samples: Samples, attribute: AttributeCard
) -> tuple[EditDefaults, Outcome]:
    """The settings of most worth, and what they gave."""
    card = model.generator.card
    others = [other.name for other in card.attributes if other.name != attribute.name]
    chosen = Choice(length=_LENGTHS[2], layers=_LAYERS[0], top_k=0)
    known: dict[Choice, Outcome] = {}
    for candidates in _ROUNDS:
        tried = candidates(chosen)
        for choice in tried:
            if choice not in known:
                settings = choice.defaults(others)
                known[choice] = edit_samples(model, judge, samples, attribute, settings)
        chosen = max(tried, key=lambda choice: known[choice].worth)
    return chosen.defaults(others), known[chosen]


def tune(count: int, folder: Path) -> None:
    """Choose defaults for every attribute; store a new version and write its heads."""
    stored = find_model(NAME)
    model, judge = load_local(stored), Judge(threads=1)
    samples = draw_samples(model, judge, VALIDATION_SEEDS, count)
    tuned = []
    for attribute in track(stored.card.attributes, "choosing"):
        defaults, outcome = choose_defaults(model, judge, samples, attribute)
        print(
            f"{attribute.name}: success {outcome.reached.mean():.2f}, "
            f"accuracy {outcome.accuracy:.2f} (validation), layers {defaults.layers}, "
            f"step {defaults.step_size}, top-k {[one.top_k for one in defaults.exclude][:1]}"
        )
        tuned.append(attribute.model_copy(update={"defaults": defaults}))
    write_heads(save_attributes(stored, tuned, {}), folder)


def measure(count: int) -> dict[str, Outcome]:
    """Edits of every attribute from test samples, with the defaults of the stored card."""
    stored = find_model(NAME)
    model, judge = load_local(stored), Judge(threads=1)
    samples = draw_samples(model, judge, TEST_SEEDS, count)
    return {
        attribute.name: edit_samples(model, judge, samples, attribute, attribute.defaults)
        for attribute in track(stored.card.attributes, "measuring")
    }


def as_table(outcomes: dict[str, Outcome]) -> str:
    """Markdown: success and accuracy per attribute."""
    lines = ["| attribute | edits | success | accuracy |", "|---|---|---|---|"]
    for name, one in outcomes.items():
        lines.append(
            f"| {name} | {len(one.target)} | {one.reached.mean():.2f} | {one.accuracy:.2f} |"
        )
    mean = np.mean([one.accuracy for one in outcomes.values()])
    success = np.mean([one.reached.mean() for one in outcomes.values()])
    return "\n".join([*lines, f"| mean | | {success:.2f} | {mean:.2f} |"])


def pair_table(outcome: Outcome, classes: Sequence[str]) -> str:
    """Markdown: success / accuracy / edits from each class (rows) to each other one."""
    lines = ["| from \\ to | " + " | ".join(classes) + " |", "|---" * (len(classes) + 1) + "|"]
    for a, name in enumerate(classes):
        cells = [_rates(outcome, a, b) for b in range(len(classes))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rates(outcome: Outcome, start: int, target: int) -> str:
    chosen = (outcome.start == start) & (outcome.target == target)
    if not chosen.any():
        return ""
    reached, accurate = outcome.reached[chosen].mean(), outcome.accurate[chosen].mean()
    return f"{reached:.2f} / {accurate:.2f} ({chosen.sum()})"


def _planned(
    card: ModelCard, attribute: AttributeCard, target: str, defaults: EditDefaults
) -> PlannedEdit:
    return plan_edit(
        card,
        attribute.name,
        target,
        defaults.steps,
        defaults.step_size,
        defaults.as_pairs(),
        defaults.layers,
    )


def _render(model: LocalModel, latents: Tensor) -> np.ndarray:
    """Images [N, H, W, 3], uint8, of latents [N, L, C]."""
    parts = [to_pixels(model.generator.synthesis(part)) for part in latents.split(_BATCH)]
    return np.concatenate(parts)


def main() -> None:
    """The command."""
    parser = ArgumentParser(description="measure edits of avatars, choose their defaults")
    parser.add_argument("job", choices=("tune", "measure"))
    parser.add_argument("--samples", type=int, help="default: 100 to tune, 300 to measure")
    parser.add_argument("--write-heads", type=Path, default=Path("export/heads"))
    arguments = parser.parse_args()
    with torch.inference_mode():
        if arguments.job == "tune":
            tune(arguments.samples or 100, arguments.write_heads)
            return
        outcomes = measure(arguments.samples or 300)
    print(as_table(outcomes))
    hair = next(one for one in find_model(NAME).card.attributes if one.name == "hair_colour")
    print(pair_table(outcomes["hair_colour"], hair.classes))


if __name__ == "__main__":
    main()
