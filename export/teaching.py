"""`gradctrl train --spread`: heads that read all layers, from a few labelled images.

All layers of a latent are too many channels for 30 samples per class. An image reader learns each
attribute from the labelled images, reads the rest of the bank, and heads learn from what it read.
Then, for some rounds, the heads walk, the reader reads where the walks ended, and the heads learn
from that too: a walk leaves the places where a bank has samples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from editing import (
    NEVER_STOP,
    DistilOptions,
    EditingError,
    Head,
    StackedHeads,
    WalkPlan,
    distil_heads,
    latent_logits,
    stack_heads,
    walk_latents,
)
from export.banks import Bank
from export.errors import LabelError
from export.labels import AttributeLabels
from export.reading import ImageReader, fit_reader
from export.rendering import Renderer
from export.sampling import drawn_labels, sample_latents
from export.sights import Eyes, Sights, eyes_for
from export.training import (
    MAX_VALIDATION,
    Selection,
    TrainedAttribute,
    attribute_card,
    choose_samples,
)
from model_store import Generator, StoredModel, style_map, styled

Progress = Callable[[str, int, int], None]  # what, done, of so many

_WALK_SEEDS = 3_000_000  # of the samples that walks start from; banks start at 0
_WALK_STEPS = 8
_WALK_STEP_SIZE = 0.5  # a step is at most six times as long
_WALK_GOALS = (0.0, 8.0)  # log-odds, drawn
_COPIES = 2  # of what was walked to, against one of the bank
_AT_ONCE = 1000  # walks; a walk keeps all its points
_MEASURED = 4000  # samples, whose latents tell the standard deviation of all


@dataclass(frozen=True)
class TeachOptions:
    """How heads are taught; docs/science.md has the measurements."""

    per_class: int = 30
    selection: Selection = "random"
    seed: int = 0
    rounds: int = 2  # of walks
    walked_share: float = 3 / 16  # of the size of the bank, how many walks a round takes
    distil: DistilOptions = field(default_factory=DistilOptions)


@dataclass(frozen=True)
class _Lesson:
    """Latents with what the readers made of their images."""

    points: Tensor  # [N, L * C]
    targets: list[Tensor]  # per attribute [N, K], probabilities


def teach_model(
    model: StoredModel,
    bank: Bank,
    labels: Mapping[str, AttributeLabels],
    options: TeachOptions | None = None,
    progress: Progress = lambda what, done, total: None,
) -> list[TrainedAttribute]:
    """Heads of L * C channels for every labelled attribute, in the order of the labels.

    LabelError where the bank is too small or a class has too few labelled samples.
    """
    options = options or TeachOptions()
    chosen = choose_labelled(labels, options)
    eyes = eyes_for(model)
    sights = eyes.see(bank.images, partial(progress, "looking"))
    readers = fit_readers(sights, labels, chosen, options.seed, progress)
    lesson = _of_bank(bank, sights, labels, chosen, readers)
    generator = model.generator()
    metric = None if model.card.edit_space == "z" else style_map(styled(generator))
    heads = _distil([lesson], metric, options, progress)
    lessons = [lesson]
    for turn in range(options.rounds):
        progress("walking", turn, options.rounds)
        walked = _walk(generator, stack_heads(heads), lesson.points, turn, options)
        lessons += _COPIES * [_read(generator, eyes, walked, list(readers.values()))]
        heads = _distil(lessons, metric, options, progress)
    return [
        _as_trained(name, one, chosen[name], heads[a], readers[name], bank, options)
        for a, (name, one) in enumerate(labels.items())
    ]


def choose_labelled(
    labels: Mapping[str, AttributeLabels], options: TeachOptions
) -> dict[str, np.ndarray]:
    """Per attribute the indices of the labelled samples to learn from."""
    return {
        name: choose_samples(
            name,
            one,
            options.per_class,
            options.selection,
            np.random.default_rng([options.seed, *name.encode()]),
        )
        for name, one in labels.items()
    }


def fit_readers(
    sights: Sights,
    labels: Mapping[str, AttributeLabels],
    chosen: Mapping[str, np.ndarray],
    seed: int,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, ImageReader]:
    """A reader per attribute, which learned from the chosen images alone."""
    readers = {}
    for done, (name, one) in enumerate(labels.items()):
        progress(f"reading {name}", done, len(labels))
        try:
            own = chosen[name]
            readers[name] = fit_reader(sights, own, one.labels()[own], seed)
        except LabelError as error:
            raise LabelError(f"{name}: {error}") from error
    return readers


def _of_bank(
    bank: Bank,
    sights: Sights,
    labels: Mapping[str, AttributeLabels],
    chosen: Mapping[str, np.ndarray],
    readers: Mapping[str, ImageReader],
) -> _Lesson:
    """The whole bank; labelled samples keep their labels."""
    targets = []
    for name, one in labels.items():
        read = readers[name].probabilities(sights)
        own = chosen[name]
        read[own] = np.eye(len(one.classes), dtype=np.float32)[one.labels()[own]]
        targets.append(torch.from_numpy(read))
    return _Lesson(torch.from_numpy(np.array(bank.latents)).flatten(1), targets)


def _distil(
    lessons: Sequence[_Lesson], metric: Tensor | None, options: TeachOptions, progress: Progress
) -> list[Head]:
    points = torch.cat([lesson.points for lesson in lessons])
    count = len(lessons[0].targets)
    targets = [torch.cat([lesson.targets[a] for lesson in lessons]) for a in range(count)]
    try:
        return distil_heads(
            points,
            targets,
            metric,
            options.seed,
            options.distil,
            lambda epochs: progress("training", epochs, options.distil.epochs),
        )
    except EditingError as error:
        raise LabelError(f"the bank: {error}") from error


def _walk(
    generator: Generator, heads: StackedHeads, points: Tensor, turn: int, options: TeachOptions
) -> Tensor:  # [W, L, C]
    """Where walks to random classes ended: half from new samples, half from the bank."""
    rng = np.random.default_rng([options.seed, turn])
    half, card = round(options.walked_share * len(points)) // 2, generator.card
    first = _WALK_SEEDS + turn * half
    seeds = range(first, first + half)
    with torch.inference_mode():
        fresh = sample_latents(generator, seeds, card.truncation, drawn_labels(card, seeds))
        drawn = points[torch.from_numpy(rng.integers(len(points), size=half))]
        starts = torch.cat([fresh, drawn.unflatten(1, card.latent_shape)])
        return torch.cat([_ends(heads, part, rng) for part in starts.split(_AT_ONCE)])


def _ends(heads: StackedHeads, starts: Tensor, rng: np.random.Generator) -> Tensor:  # [N, L, C]
    plan = _random_plan(heads, starts, rng)
    ranges = plan.target.new_tensor([0, starts.shape[1]]).expand(len(starts), -1)
    return walk_latents(heads, starts, plan, ranges).latents[:, -1].clone()


def _random_plan(heads: StackedHeads, starts: Tensor, rng: np.random.Generator) -> WalkPlan:
    """Every start to another class of some attribute, the others protected."""
    count, attributes = len(starts), heads.num_attributes
    rows = torch.arange(count)
    attribute = torch.from_numpy(rng.integers(attributes, size=count))
    now = latent_logits(heads, starts).argmax(dim=2)[rows, attribute]
    classes = heads.class_bias.isfinite().sum(dim=1)[attribute]
    shift = 1 + torch.from_numpy(rng.integers(2**31, size=count)) % (classes - 1)
    top_k = torch.ones(count, attributes, dtype=torch.int64)
    top_k[rows, attribute] = 0
    return WalkPlan(
        attribute=attribute,
        target=(now + shift) % classes,
        steps=torch.full((count,), _WALK_STEPS),
        step_size=torch.full((count,), _WALK_STEP_SIZE),
        top_k=top_k,
        stop_probability=torch.full((count,), NEVER_STOP),
        goal=torch.from_numpy(rng.uniform(*_WALK_GOALS, count)).float(),
    )


def _read(
    generator: Generator, eyes: Eyes, latents: Tensor, readers: Sequence[ImageReader]
) -> _Lesson:
    sights = eyes.see(Renderer(generator).images(latents))
    targets = [torch.from_numpy(reader.probabilities(sights)) for reader in readers]
    return _Lesson(latents.flatten(1), targets)


def _as_trained(
    name: str,
    labels: AttributeLabels,
    chosen: np.ndarray,
    head: Head,
    reader: ImageReader,
    bank: Bank,
    options: TeachOptions,
) -> TrainedAttribute:
    """With its accuracy on labelled samples whose labels nothing has learned from."""
    rest = np.setdiff1d(np.flatnonzero(labels.labels() >= 0), chosen)
    rest = np.random.default_rng(options.seed).permutation(rest)[:MAX_VALIDATION]
    found = latent_logits(stack_heads([head]), torch.from_numpy(np.array(bank.latents[rest])))
    hits = found[:, 0].argmax(dim=1).numpy() == labels.labels()[rest]
    accuracy = f"{reader.cross_validated:.3f} (cross-validated)"
    remark = f"taught by {reader.view.subject} read with {accuracy}"
    card = attribute_card(name, labels, chosen, hits)
    std = _latent_std(torch.from_numpy(np.array(bank.latents[:_MEASURED])).flatten(1))
    card = card.model_copy(update={"latent_std": round(std, 4)})
    return TrainedAttribute(card, head, remark)


def _latent_std(points: Tensor) -> float:
    """Standard deviation of points [N, C] of a bank, root mean square over channels."""
    return float(points.var(dim=0).mean().sqrt())
