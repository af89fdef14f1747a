"""`gradctrl tune`: the defaults of every attribute, chosen by what edits do to validation images.

Tries goals or lengths, layers, masks and exclusions one after the other and keeps what reaches the
target most often and most cleanly. Knows nothing about training or files.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from editing import StackedHeads, walk_latents
from export.banks import Bank
from export.evaluation import make_judge
from export.labels import read_labels
from export.looking import Look, judge_look, reader_look
from export.sampling import drawn_labels, sample_latents
from export.strips import LocalModel, load_local
from export.teaching import TeachOptions
from model_store import (
    AttributeCard,
    EditDefaults,
    Exclusion,
    ModelCard,
    StoredModel,
    plan_edit,
    walk_plan,
)

VALIDATION_SEEDS = 1_000_000  # first seed; banks start at 0, test pools at 2,000,000

Progress = Callable[[str, int, int], None]  # what, done, of so many

_STEPS = 8
_GOALS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.998)  # of heads that read all layers
_STEP_SIZE = 0.5  # with a goal: bounds steps, and is what methods without goals walk
_LENGTHS = (1.5, 2.5, 3.5, 5.0, 7.0, 10.0)  # L2 of the whole walk, of other heads
_MASKED_SHARES = (0.1, 0.2, 0.5)  # of the channels: the paper's 50, 100 and 250 of 512
_LAYER_SHARES = ((0, 1), (0, 0.4), (0, 0.6), (0.2, 0.6), (0.2, 0.8), (0.4, 0.8), (0.4, 1), (0.6, 1))
_HARMED = 0.02  # share of edits after which an attribute counts as one to protect


@dataclass(frozen=True)
class Outcome:
    """What became of edits of one attribute."""

    start: np.ndarray  # [N], int64, class before
    target: np.ndarray  # [N], int64
    reached: np.ndarray  # [N], bool, the image shows the target
    changed: np.ndarray  # [N, A], bool, attributes that show another class; not the edited one

    @property
    def accurate(self) -> np.ndarray:
        """Edits [N] that changed the target and nothing else."""
        return self.reached & ~self.changed.any(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of edits that changed the target and nothing else."""
        return float(self.accurate.mean())

    @property
    def worth(self) -> float:
        """What defaults are chosen by: accuracy counts twice, reaching the target at all once.

        By accuracy alone short walks win where few edits can be clean, and reach nothing.
        """
        return float(self.reached.mean() + 2 * self.accurate.mean()) / 3


@dataclass(frozen=True)
class Samples:
    """Unedited samples and what their images show."""

    latents: Tensor  # [N, L, C]
    labels: np.ndarray  # [N, A], int64


@dataclass(frozen=True)
class Tuned:
    """Chosen defaults and what they gave on validation images."""

    attribute: AttributeCard  # with the defaults
    outcome: Outcome

    def describe(self) -> str:
        """A line for people."""
        one = self.attribute.defaults
        extent = f"step size {one.step_size}" if one.goal is None else f"goal {one.goal}"
        masks = ", ".join(f"{name}:{k}" for name, k in one.as_pairs()) or "none"
        return (
            f"success {self.outcome.reached.mean():.2f}, accuracy {self.outcome.accuracy:.2f} "
            f"(validation); {extent}, layers {one.layers}, exclude {masks}"
        )


@dataclass(frozen=True)
class TuneOptions:
    """What is tuned, and by whom."""

    samples: int = 30  # validation images per attribute
    seed: int = 0
    labelers: tuple[str, ...] = ()  # empty: image readers of the bank's labels
    attributes: tuple[str, ...] = ()  # empty: all of the card


@dataclass(frozen=True)
class _Choice:
    """One candidate."""

    extent: float  # the goal, or the length of the whole walk
    layers: tuple[int, int]
    top_k: int  # of every protected attribute
    protected: frozenset[str]


def draw_samples(model: LocalModel, look: Look, first_seed: int, count: int) -> Samples:
    """Samples of consecutive seeds at the default psi."""
    card, seeds = model.generator.card, range(first_seed, first_seed + count)
    latents = sample_latents(model.generator, seeds, card.truncation, drawn_labels(card, seeds))
    return Samples(latents, look(latents))


def edit_samples(
    model: LocalModel,
    look: Look,
    samples: Samples,
    attribute: AttributeCard,
    defaults: EditDefaults,
    seed: int = 0,
) -> Outcome:
    """Every sample to another class than it shows, drawn uniformly."""
    card = model.generator.card
    index = [one.name for one in card.attributes].index(attribute.name)
    before = samples.labels[:, index]
    target = draw_targets(before, len(attribute.classes), seed)
    moved = _moved(model.heads, card, samples.latents, attribute, target, defaults)
    after = look(moved)
    changed = after != samples.labels
    changed[:, index] = False
    return Outcome(before, target, after[:, index] == target, changed)


def draw_targets(before: np.ndarray, num_classes: int, seed: int) -> np.ndarray:
    """For each class [N] another one, uniformly."""
    shift = np.random.default_rng(seed).integers(1, num_classes, len(before))
    return (before + shift) % num_classes


def tune_model(
    model: StoredModel,
    bank: Bank,
    folder: Path,  # of the bank
    options: TuneOptions,
    progress: Progress = lambda what, done, total: None,
) -> list[Tuned]:
    """New defaults for the attributes of the options; the same options give the same ones."""
    local = load_local(model)
    look = _look_of(local, bank, folder, options)
    first = VALIDATION_SEEDS + options.seed * options.samples
    samples = draw_samples(local, look, first, options.samples)
    wanted = [
        one
        for one in model.card.attributes
        if one.name in options.attributes or not options.attributes
    ]
    tuned = []
    for done, attribute in enumerate(wanted):
        progress(f"tuning {attribute.name}", done, len(wanted))
        tuned.append(tune_attribute(local, look, samples, attribute))
    return tuned


def _look_of(local: LocalModel, bank: Bank, folder: Path, options: TuneOptions) -> Look:
    card = local.generator.card
    if options.labelers:
        probe = np.asarray(bank.images[:1])
        return judge_look(
            local.generator, make_judge(options.labelers, card.attributes, folder, probe)
        )
    per_class = min(one.training_samples_per_class or 30 for one in card.attributes)
    labels = read_labels(folder)
    known = {one.name: labels[one.name] for one in card.attributes if one.name in labels}
    return reader_look(local.generator, bank, known, TeachOptions(per_class, seed=options.seed))


def tune_attribute(
    model: LocalModel, look: Look, samples: Samples, attribute: AttributeCard
) -> Tuned:
    """The defaults of most worth; the first of equals, so the simplest."""
    card = model.generator.card
    known: dict[_Choice, Outcome] = {}

    def outcome(choice: _Choice) -> Outcome:
        if choice not in known:
            settings = _as_defaults(choice, card)
            known[choice] = edit_samples(model, look, samples, attribute, settings)
        return known[choice]

    chosen = _first_choice(card, attribute)
    for vary in (_extents, _layers, _extents, _masks, _exclusions):
        candidates = list(vary(chosen, card, outcome(chosen)))
        chosen = max(candidates, key=lambda choice: outcome(choice).worth)
    tuned = attribute.model_copy(update={"defaults": _as_defaults(chosen, card)})
    return Tuned(tuned, outcome(chosen))


def _moved(
    heads: StackedHeads,
    card: ModelCard,
    latents: Tensor,
    attribute: AttributeCard,
    target: np.ndarray,
    defaults: EditDefaults,
) -> Tensor:
    """Where the edits ended [N, L, C]; a refused one stays."""
    tried = attribute.model_copy(update={"defaults": defaults})
    others = tuple(tried if one.name == tried.name else one for one in card.attributes)
    planned = card.model_copy(update={"attributes": others})
    edits = [plan_edit(planned, tried.name, tried.classes[t]) for t in target]
    plan, ranges = walk_plan(edits, latents.device)
    with torch.inference_mode():
        return walk_latents(heads, latents, plan, ranges).latents[:, -1]


def _as_defaults(choice: _Choice, card: ModelCard) -> EditDefaults:
    """As a card states it."""
    exclude = tuple(
        Exclusion(attribute=one.name, top_k=choice.top_k)
        for one in card.attributes
        if one.name in choice.protected
    )
    wide = card.heads_read == "all_layers"
    return EditDefaults(
        steps=_STEPS,
        step_size=_STEP_SIZE if wide else round(choice.extent / _STEPS, 4),
        goal=choice.extent if wide else None,
        exclude=exclude,
        layers=choice.layers,
    )


def _first_choice(card: ModelCard, attribute: AttributeCard) -> _Choice:
    """All others protected by projection, next to no mask, all layers."""
    others = frozenset(one.name for one in card.attributes if one.name != attribute.name)
    extent = _GOALS[2] if card.heads_read == "all_layers" else _LENGTHS[2]
    return _Choice(extent, (0, card.latent_shape[0]), 1, others)


def _extents(choice: _Choice, card: ModelCard, outcome: Outcome) -> Iterator[_Choice]:
    yield choice
    for extent in _GOALS if card.heads_read == "all_layers" else _LENGTHS:
        yield replace(choice, extent=extent)


def _layers(choice: _Choice, card: ModelCard, outcome: Outcome) -> Iterator[_Choice]:
    yield choice
    count = card.latent_shape[0]
    for low, high in _LAYER_SHARES if count > 1 else ():
        layers = round(low * count), round(high * count)
        if layers[0] < layers[1]:
            yield replace(choice, layers=layers)


def _masks(choice: _Choice, card: ModelCard, outcome: Outcome) -> Iterator[_Choice]:
    yield choice
    for share in _MASKED_SHARES:
        yield replace(choice, top_k=round(share * card.head_channels))


def _exclusions(choice: _Choice, card: ModelCard, outcome: Outcome) -> Iterator[_Choice]:
    """All, only those that edits still harm, or none."""
    yield choice
    harmed = outcome.changed.mean(axis=0) > _HARMED
    names = [one.name for one, hurt in zip(card.attributes, harmed, strict=True) if hurt]
    yield replace(choice, protected=choice.protected.intersection(names))
    yield replace(choice, protected=frozenset())
