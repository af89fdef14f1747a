"""`gradctrl train`: heads from a few labelled samples of a bank, stored with the model.

Chooses samples and keeps score; the fitting itself is editing.fitting.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Literal

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from editing import EditingError, FitOptions, Head, fit_head, predicted_classes
from export.banks import Bank
from export.errors import ExportError, LabelError
from export.labels import AttributeLabels
from model_store import (
    BASELINES,
    CLASSIFIERS_FILE,
    FACES_FILE,
    ONE_LAYER_FILE,
    AttributeCard,
    EditDefaults,
    Exclusion,
    StoredModel,
    available_pairs,
    save_attributes,
)

Selection = Literal["extremes", "random"]
_SELECTIONS: tuple[Selection, ...] = ("extremes", "random")
EXTREME_SHARE = 0.05  # of each class; the released code trains on the top and bottom 5 % of a bank
MAX_VALIDATION = 4000
_FOLDS = 5
_FEWEST_FOLDS = 3  # of two, heads would learn from one sample of a class that has two
_NEAR_GUESSING = 0.25  # of the way from guessing to no error


@dataclass(frozen=True)
class TrainedAttribute:
    """A head and the figures behind it."""

    card: AttributeCard
    head: Head
    remark: str  # of how it was fitted


def train_attribute(
    name: str,
    labels: AttributeLabels,
    latents: np.ndarray,  # [N, L, C]
    per_class: int,
    selection: Selection = "extremes",
    seed: int = 0,
    defaults: EditDefaults | None = None,
    options: FitOptions | None = None,
    progress: Callable[[int], None] = lambda restart: None,
) -> TrainedAttribute:
    """One head; validation uses labelled samples that training and early stopping never saw.

    Where training takes all of them, each is read by a head that learned without it.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    chosen = choose_samples(name, labels, per_class, selection, rng)
    known = np.flatnonzero(labels.labels() >= 0)
    rest = rng.permutation(np.setdiff1d(known, chosen))[:MAX_VALIDATION]
    points = torch.from_numpy(np.asarray(latents[np.concatenate([chosen, rest])])).mean(dim=1)
    targets = torch.from_numpy(labels.labels()[np.concatenate([chosen, rest])])
    count = len(chosen)
    own = points[:count], targets[:count], len(labels.classes), seed, options
    try:
        fitted = fit_head(*own, progress)
        hits = predicted_classes(fitted.head, points[count:]) == targets[count:]
        if not len(rest):
            hits = _cross_validated(*own)
    except EditingError as error:
        raise LabelError(f"{name}: {error}") from error
    card = attribute_card(name, labels, chosen, hits.numpy(), defaults)
    remark = f"held out {fitted.held_out_accuracy:.3f} (mean of {len(fitted.epochs)} restarts)"
    return TrainedAttribute(
        card, fitted.head, remark if len(rest) else f"cross-validated, {remark}"
    )


def _cross_validated(
    points: Tensor,  # [n, C]
    targets: Tensor,  # [n], int64
    num_classes: int,
    seed: int,
    options: FitOptions | None,
) -> Tensor:  # [n], bool
    """Which samples are read correctly by a head that learned from others; empty for too few."""
    folds = min(_FOLDS, int(targets.bincount().min()))
    if folds < _FEWEST_FOLDS:
        return torch.zeros(0, dtype=torch.bool)
    hits = torch.zeros(len(targets), dtype=torch.bool)
    split = StratifiedKFold(folds, shuffle=True, random_state=seed).split(points, targets)
    for learned, read in split:
        head = fit_head(points[learned], targets[learned], num_classes, seed, options).head
        hits[read] = predicted_classes(head, points[read]) == targets[read]
    return hits


def attribute_card(
    name: str,
    labels: AttributeLabels,
    chosen: np.ndarray,  # indices of the samples that it learned from
    hits: np.ndarray,  # [V], bool, which validation samples the head reads correctly
    defaults: EditDefaults | None = None,
) -> AttributeCard:
    """The card of a trained attribute; it counts the samples of the rarest class."""
    counts = np.bincount(labels.labels()[chosen], minlength=len(labels.classes))
    return AttributeCard(
        name=name,
        classes=labels.classes,
        defaults=defaults or EditDefaults(),
        validation_accuracy=round(float(hits.mean()), 4) if len(hits) else None,
        validation_samples=len(hits),
        training_samples_per_class=int(counts.min()),
        labelled_by=labels.labelled_by,
    )


def as_selection(name: str) -> Selection:
    """A selection by name; ExportError says which there are."""
    for selection in _SELECTIONS:
        if selection == name:
            return selection
    raise ExportError(f"--select must be {' or '.join(_SELECTIONS)}, got {name!r}")


def choose_samples(
    name: str,
    labels: AttributeLabels,
    per_class: int,
    selection: Selection,
    rng: np.random.Generator,
) -> np.ndarray:
    """Indices of up to `per_class` samples of each class, drawn from its most confident share.

    Labels by people carry no confidence: all their samples are equally extreme. LabelError names
    a class with fewer than two samples.
    """
    assigned, confidence = labels.labels(), labels.confidence()
    chosen = []
    for k, class_name in enumerate(labels.classes):
        members = rng.permutation(np.flatnonzero(assigned == k))
        if len(members) < 2:
            raise LabelError(f"{name}: class {class_name!r} has {len(members)} labelled samples")
        if selection == "extremes":
            share = max(per_class, round(EXTREME_SHARE * len(members)))
            order = np.argsort(-confidence[members], kind="stable")
            members = rng.permutation(members[order[:share]])
        chosen.append(members[:per_class])
    return np.concatenate(chosen)


def train_model(
    model: StoredModel,
    bank: Bank,
    labels: Mapping[str, AttributeLabels],
    per_class: int,
    selection: Selection = "extremes",
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[TrainedAttribute]:
    """Heads for every labelled attribute, in the order of the labels."""
    known = {attribute.name: attribute.defaults for attribute in model.card.attributes}
    trained = []
    for name, one in labels.items():

        def report(restart: int, name: str = name) -> None:
            progress(f"training {name}", restart + 1, FitOptions.num_seeds)

        trained.append(
            train_attribute(
                name,
                one,
                bank.latents,
                per_class,
                selection,
                seed,
                known.get(name),
                progress=report,
            )
        )
    return trained


def store_trained(model: StoredModel, trained: list[TrainedAttribute]) -> StoredModel:
    """A new version of the model: these attributes replace those of the same name.

    Where nobody has chosen defaults, all others are protected by projection.
    """
    heads = {one.card.name: one.head for one in trained}
    names = dict.fromkeys([*(attribute.name for attribute in model.card.attributes), *heads])
    cards = [_protecting(one.card, names) for one in trained]
    return save_attributes(model, cards, heads)


def doubts(
    trained: TrainedAttribute, model: StoredModel, per_class: int, spread: bool
) -> list[str]:
    """What speaks against a head that is about to be stored with the model, a line each."""
    card, found = trained.card, []
    count, accuracy = card.training_samples_per_class or 0, card.validation_accuracy
    if count < per_class:
        found.append(f"{card.name}: {count} labelled samples of its rarest class, not {per_class}")
    if accuracy is None:
        return found
    guessing = 1 / len(card.classes)
    if accuracy < guessing + _NEAR_GUESSING * (1 - guessing):
        helps = model.card.num_ws or FACES_FILE in model.card.files
        hint = "; --spread learns from images too" if helps and not spread else ""
        found.append(f"{card.name}: accuracy {accuracy:.3f}, guessing has {guessing:.3f}{hint}")
    before = {one.name: one.validation_accuracy for one in model.card.attributes}
    if accuracy < (known := before.get(card.name) or 0):
        found.append(f"{card.name}: accuracy {accuracy:.3f}, the head it replaces has {known:.3f}")
    return found


def lost_methods(before: StoredModel, after: StoredModel) -> list[str]:
    """What a new version can no longer do, a line per method with the attributes."""
    kept = available_pairs(after)
    lost: dict[str, list[str]] = {}
    for method, name in available_pairs(before):
        if (method, name) not in kept:
            lost.setdefault(method, []).append(name)
    return [
        f"the new version has no {method} for {', '.join(names)}: {_way_back(method)}"
        for method, names in lost.items()
    ]


def _way_back(method: str) -> str:
    if method in BASELINES:
        return "fit it again with: gradctrl directions"
    return "it needs heads of one layer for every attribute: train without --spread"


def _protecting(card: AttributeCard, names: Iterable[str]) -> AttributeCard:
    if card.defaults != EditDefaults():
        return card
    others = tuple(Exclusion(attribute=name, top_k=1) for name in names if name != card.name)
    return card.model_copy(update={"defaults": EditDefaults(exclude=others)})


def write_heads(model: StoredModel, folder: Path) -> None:
    """`<name>.safetensors` and `<name>.json`, as `gradctrl fetch` reads them.

    Heads of one layer that are stored beside those of all layers go to `<name>-one-layer`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = model.card.name
    copyfile(model.path / CLASSIFIERS_FILE, folder / f"{name}.safetensors")
    if ONE_LAYER_FILE in model.card.files:
        copyfile(model.path / ONE_LAYER_FILE, folder / f"{name}-one-layer.safetensors")
    entries = [attribute.model_dump_json(indent=2) for attribute in model.card.attributes]
    (folder / f"{name}.json").write_text("[" + ",\n".join(entries) + "]\n")
