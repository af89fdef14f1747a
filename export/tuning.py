"""`gradctrl tune`: the defaults of every attribute, chosen by what edits do to validation images.

Tries goals or lengths, layers, masks and exclusions one after the other and keeps what reaches the
target most often and most cleanly. Knows nothing about training or files.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export.banks import Bank
from export.errors import LabelError
from export.evaluation import make_judge
from export.labels import read_labels
from export.onlookers import Onlooker, image_onlooker, reader_onlooker
from export.outcomes import Outcome, Samples, draw_samples, edit_samples
from export.reading import small_images
from export.strips import LocalModel, load_local
from export.teaching import TeachOptions, choose_labelled, fit_readers
from model_store import AttributeCard, EditDefaults, Exclusion, ModelCard, StoredModel

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


def tune_model(
    model: StoredModel,
    bank: Bank,
    folder: Path,  # of the bank
    options: TuneOptions,
    progress: Progress = lambda what, done, total: None,
) -> list[Tuned]:
    """New defaults for the attributes of the options; the same options give the same ones."""
    local = load_local(model)
    onlooker = _onlooker(local, bank, folder, options)
    names = options.attributes or onlooker.attributes
    if unseen := [name for name in names if name not in onlooker.attributes]:
        known = ", ".join(onlooker.attributes)
        raise LabelError(f"{unseen[0]}: nobody can see it; known are {known}")
    first = VALIDATION_SEEDS + options.seed * options.samples
    samples = draw_samples(local, onlooker, first, options.samples)
    tuned: list[Tuned] = []
    for attribute in model.card.attributes:
        if attribute.name in names:
            progress(f"tuning {attribute.name}", len(tuned), len(names))
            tuned.append(tune_attribute(local, onlooker, samples, attribute))
    return tuned


def _onlooker(local: LocalModel, bank: Bank, folder: Path, options: TuneOptions) -> Onlooker:
    """The named labelers, or image readers that learn from the bank as the heads did."""
    generator, card = local.generator, local.generator.card
    if options.labelers:
        probe = np.asarray(bank.images[:1])
        return image_onlooker(
            generator, make_judge(options.labelers, card.attributes, folder, probe)
        )
    labels = read_labels(folder)
    known = {
        one.name: labels[one.name]
        for one in card.attributes
        if one.name in labels and labels[one.name].classes == one.classes
    }
    per_class = min((one.training_samples_per_class or 30 for one in card.attributes), default=30)
    chosen = choose_labelled(known, TeachOptions(per_class, seed=options.seed))
    readers = fit_readers(small_images(bank.images), known, chosen, options.seed)
    return reader_onlooker(generator, readers)


def tune_attribute(
    model: LocalModel, onlooker: Onlooker, samples: Samples, attribute: AttributeCard
) -> Tuned:
    """The defaults of most worth; the first of equals, so the simplest."""
    card = model.generator.card
    known: dict[_Choice, Outcome] = {}

    def outcome(choice: _Choice) -> Outcome:
        if choice not in known:
            settings = _as_defaults(choice, card)
            known[choice] = edit_samples(model, onlooker, samples, attribute, settings)
        return known[choice]

    chosen = _first_choice(card, attribute)
    for vary in (_extents, _layers, _extents, _masks, _exclusions):
        candidates = list(vary(chosen, card, outcome(chosen)))
        chosen = max(candidates, key=lambda choice: outcome(choice).worth)
    tuned = attribute.model_copy(update={"defaults": _as_defaults(chosen, card)})
    return Tuned(tuned, outcome(chosen))


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
    """All, only those that edits still harm (or that nobody can see), or none."""
    yield choice
    harmed = outcome.changed.mean(axis=0) > _HARMED
    safe = {name for name, hurt in zip(outcome.attributes, harmed, strict=True) if not hurt}
    yield replace(choice, protected=choice.protected - safe)
    yield replace(choice, protected=frozenset())
