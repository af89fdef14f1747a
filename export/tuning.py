"""`gradctrl tune`: the defaults of every attribute, chosen by what edits do to validation images.

Tries goals or lengths, layers, masks and step sizes one after the other and keeps what reaches the
target clearly more often and more cleanly; then measures what such edits still do to other
attributes and counters it where that helps. Knows nothing about training or files.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from export.banks import Bank
from export.edit_choices import EditChoice, first_choice, step_variations, variations
from export.errors import LabelError
from export.evaluation import make_judge
from export.labels import read_labels
from export.onlookers import Onlooker, image_onlooker, reader_onlooker
from export.outcomes import Outcome, Samples, draw_samples, edit_samples, walk_samples
from export.side_effects import find_side_effects
from export.sights import eyes_for
from export.strips import LocalModel, load_local
from export.teaching import TeachOptions, choose_labelled, fit_readers
from model_store import AttributeCard, Generator, StoredModel, save_attributes

VALIDATION_SEEDS = 1_000_000  # first seed; banks start at 0, test pools at 10,000,000
Progress = Callable[[str, int, int], None]  # what, done, of so many


@dataclass(frozen=True)
class Tuned:
    """Chosen defaults and what they gave on validation images."""

    attribute: AttributeCard  # with the defaults
    outcome: Outcome

    def describe(self) -> str:
        """A line for people."""
        one = self.attribute.defaults
        extent = f"step size {one.step_size}"
        if one.goal is not None:
            extent = f"goal {one.goal}, {extent}"
        masks = ", ".join(f"{name}:{k}" for name, k in one.as_pairs()) or "none"
        effects = ", ".join(sorted({effect.attribute for effect in self.attribute.side_effects}))
        return (
            f"success {self.outcome.reached.mean():.2f}, accuracy {self.outcome.accuracy:.2f} "
            f"(validation); {extent}, layers {one.layers}, exclude {masks}"
            + (f", countered {effects}" if effects else "")
        )


@dataclass(frozen=True)
class TuneOptions:
    """What is tuned, and by whom."""

    samples: int = 30  # validation images per attribute
    seed: int = 0
    labelers: tuple[str, ...] = ()  # empty: image readers of the bank's labels
    attributes: tuple[str, ...] = ()  # empty: all of the card


def tune_model(
    model: StoredModel,
    bank: Bank,
    folder: Path,  # of the bank
    options: TuneOptions,
    progress: Progress = lambda what, done, total: None,
) -> list[Tuned]:
    """New defaults for the attributes of the options; the same options give the same ones."""
    local = load_local(model)
    onlooker = _onlooker(model, local.generator, bank, folder, options, progress)
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
            found = tune_attribute(local, onlooker, samples, attribute)
            progress(f"side effects of {attribute.name}", len(tuned), len(names))
            effects = find_side_effects(
                local, onlooker, found.attribute, options.samples, options.seed
            )
            tuned.append(replace(found, attribute=found.attribute.with_side_effects(effects)))
    return tuned


def store_tuned(
    model: StoredModel, tuned: list[Tuned], warn: Callable[[str], None] = lambda message: None
) -> StoredModel:
    """A new version of the model with these defaults.

    An attribute that was trained again since it was tuned keeps what it has, with a warning.
    """
    now = {one.name: one for one in model.card.attributes}
    cards = [one.attribute for one in tuned]
    same = [
        one
        for one in cards
        if one.name in now
        and now[one.name].with_defaults(one.defaults).with_side_effects(one.side_effects) == one
    ]
    for one in cards:
        if one not in same:
            warn(f"{one.name} was trained meanwhile and keeps its defaults; tune it again")
    return save_attributes(model, same, {})


def _onlooker(
    model: StoredModel,
    generator: Generator,
    bank: Bank,
    folder: Path,
    options: TuneOptions,
    progress: Progress,
) -> Onlooker:
    """The named labelers, or image readers that learn from the bank as the heads did."""
    card = model.card
    if options.labelers:
        probe = np.asarray(bank.images[:1])
        return image_onlooker(
            generator, make_judge(options.labelers, card.attributes, folder, probe)
        )
    labels = read_labels(folder, card.attributes)
    known = {
        one.name: labels[one.name]
        for one in card.attributes
        if one.name in labels and labels[one.name].classes == one.classes
    }
    chosen: dict[str, np.ndarray] = {}
    for one in card.attributes:
        if one.name in known:
            count = one.training_samples_per_class or TeachOptions.per_class
            own = {one.name: known[one.name]}
            chosen |= choose_labelled(own, TeachOptions(count, seed=options.seed))
    eyes = eyes_for(model)
    sights = eyes.see(bank.images, partial(progress, "looking"))
    readers = fit_readers(sights, known, chosen, options.seed, progress)
    return reader_onlooker(generator, eyes, readers)


def tune_attribute(
    model: LocalModel, onlooker: Onlooker, samples: Samples, attribute: AttributeCard
) -> Tuned:
    """Its defaults, changed one thing at a time where that is clearly better for the samples.

    Side effects of the defaults before are forgotten.
    """
    card = model.generator.card
    attribute = attribute.with_side_effects(())

    def outcome(choice: EditChoice) -> Outcome:
        return edit_samples(model, onlooker, samples, attribute, choice.as_defaults(card))

    chosen = first_choice(card, attribute)
    given = outcome(chosen)
    for vary in variations(card, attribute):
        tried = [(one, outcome(one)) for one in vary(chosen) if one != chosen]
        best, found = max(tried, key=lambda pair: pair[1].worth, default=(chosen, given))
        if found.is_clearly_better(given):
            chosen, given = best, found
    for step in _better_steps(model, onlooker, samples, attribute, chosen):
        found = outcome(step)
        if not given.is_clearly_better(found):
            chosen, given = step, found
            break
    tuned = attribute.with_defaults(chosen.as_defaults(card))
    return Tuned(tuned, given)


def _better_steps(
    model: LocalModel,
    onlooker: Onlooker,
    samples: Samples,
    attribute: AttributeCard,
    chosen: EditChoice,
) -> list[EditChoice]:
    """Lengths of a step whose walks until the target shows are clearly better; the best first.

    A goal leaves that length to be no more than a bound, so edits to the goal do not tell it.
    """
    card = model.generator.card

    def outcome(choice: EditChoice) -> Outcome:
        defaults = choice.as_defaults(card)
        return walk_samples(model, onlooker, samples, attribute, defaults)

    tried = [(one, outcome(one)) for one in step_variations(card, chosen)]
    given = next((found for one, found in tried if one == chosen), None)
    if given is None:
        return []
    better = [(found.worth, one) for one, found in tried if found.is_clearly_better(given)]
    return [one for _, one in sorted(better, key=lambda pair: -pair[0])]
