"""Every way in which a stored model can edit, by name. Knows nothing about HTTP or fitting.

The walks need heads, the baselines need directions (`gradctrl directions`). `method_offers` is
what may be offered to users; asking for anything else is refused with the reason.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from torch import Tensor

from editing import (
    EditSettings,
    GradCtrlWalk,
    Method,
    PaperGradCtrl,
    ReleasedGradCtrl,
    StackedHeads,
    UnsupportedMethodError,
)
from editing.baselines import StraightWalk, StyleWalk
from model_store.cards import AttributeCard, MethodName, ModelCard
from model_store.directions import STYLE_METHODS, Directions, stored_directions
from model_store.plans import plan_edit
from model_store.store import StoredModel

STYLE_STEP_SIZE = 1.0  # standard deviations of a channel
RELEASED_METHODS: dict[str, Callable[[StackedHeads, Sequence[EditSettings]], Method]] = {
    "gradctrl-released": ReleasedGradCtrl,
    "gradctrl-paper": PaperGradCtrl,
}
METHODS: tuple[MethodName, ...] = get_args(MethodName)
DEFAULT_METHOD: MethodName = "gradctrl"
BASELINES = tuple(name for name in METHODS if name not in (DEFAULT_METHOD, *RELEASED_METHODS))


@dataclass(frozen=True)
class Offer:
    """What a method can do for an attribute of a model."""

    classes: tuple[str, ...]  # that it can walk to
    layers: Mapping[str, tuple[int, int]]  # by class, half-open; empty: those of the card


Offers = Mapping[MethodName, Mapping[str, Offer]]  # by method and attribute


def method_offers(model: StoredModel) -> Offers:
    """Everything that the model can do, the default method first."""
    attributes = {attribute.name: attribute for attribute in model.card.attributes}
    fitted = {(one.method, one.attribute): one for one in stored_directions(model)}
    released = model.one_layer_heads() is not None
    offers: dict[MethodName, dict[str, Offer]] = {}
    for method in METHODS:
        if method in BASELINES:
            lines = {name: fitted.get((method, name)) for name in attributes}
            found = {name: _line_offer(one) for name, one in lines.items() if one is not None}
            offers[method] = {name: offer for name, offer in found.items() if offer.classes}
        elif method == DEFAULT_METHOD or released:
            offers[method] = {name: _walk_offer(card) for name, card in attributes.items()}
    return {method: found for method, found in offers.items() if found}


def available_pairs(model: StoredModel) -> list[tuple[str, str]]:
    """(method, attribute) of everything that the model can do, the default method first."""
    return [(method, name) for method, found in method_offers(model).items() for name in found]


def stored_methods(
    model: StoredModel,
    names: Iterable[str] = (),  # none: all that the model has
    settings: Callable[[ModelCard], Sequence[EditSettings]] | None = None,  # None: the card's
) -> dict[str, Method]:
    """Methods by name; UnsupportedMethodError says what a named one lacks."""
    available = {method for method, _ in available_pairs(model)}
    wanted = tuple(names) or tuple(name for name in METHODS if name in available)
    heads, settings = model.stacked_heads(), settings or card_settings
    one_layer = model.one_layer_heads()
    fitted = stored_directions(model)
    found: dict[str, Method] = {}
    for name in wanted:
        if name not in METHODS:
            raise UnsupportedMethodError(f"no method {name!r}; there are: {', '.join(METHODS)}")
        if name not in available or heads is None:
            raise UnsupportedMethodError(_missing(model, name))
        if name == "gradctrl":
            found[name] = GradCtrlWalk(heads, settings(model.card))
        elif name in RELEASED_METHODS and one_layer is not None:
            found[name] = RELEASED_METHODS[name](one_layer, settings(model.card.as_one_layer()))
        else:
            found[name] = baseline_walk(name, model.card, fitted, settings(model.card))
    return found


def card_settings(card: ModelCard, aims: bool = True) -> list[EditSettings]:
    """The defaults of every attribute, by indices; without aims every step has the step size."""
    return [_settings(card, one, aims) for one in card.attributes]


def _settings(card: ModelCard, attribute: AttributeCard, aims: bool) -> EditSettings:
    edits = [plan_edit(card, attribute.name, target) for target in attribute.classes]
    first = edits[0]  # they differ in what they pull at alone
    return EditSettings(
        first.top_k,
        first.layers,
        first.step_size,
        first.goal if aims and math.isfinite(first.goal) else None,
        first.row_noise,
        {edit.target: edit.pulls for edit in edits if edit.pulls},
    )


def _walk_offer(attribute: AttributeCard) -> Offer:
    return Offer(attribute.classes, {})


def _line_offer(found: Directions) -> Offer:
    usable = (found.vectors != 0).any(dim=1).tolist()
    classes = tuple(name for name, use in zip(found.classes, usable, strict=True) if use)
    if found.method in STYLE_METHODS:
        return Offer(classes, {})
    ranges = [(low, high) for low, high in found.layers.tolist()]
    return Offer(classes, dict(zip(found.classes, ranges, strict=True)))


def baseline_walk(
    name: str, card: ModelCard, fitted: Iterable[Directions], settings: Sequence[EditSettings]
) -> Method:
    """InterFaceGAN, GANSpace or StyleSpace by directions; masks and layers of settings unused."""
    own = {one.attribute: one for one in fitted if one.method == name}
    chosen = [own.get(attribute.name) for attribute in card.attributes]
    vectors: list[Tensor | None] = [None if one is None else one.vectors for one in chosen]
    if name in STYLE_METHODS:
        return StyleWalk(name, vectors, [STYLE_STEP_SIZE] * len(vectors))
    layers = [None if one is None else one.layers for one in chosen]
    sizes = [one.step_size for one in settings]
    return StraightWalk(name, vectors, layers, sizes, card.heads_read == "all_layers")


def _missing(model: StoredModel, name: str) -> str:
    if not model.card.attributes:
        return f"{name}: {model.tag} has no attributes; train some with: gradctrl train"
    if name in RELEASED_METHODS:
        return f"{name}: the heads of {model.tag} read all layers, the released ones read one"
    if name in STYLE_METHODS and model.card.edit_space == "z":
        return f"{name}: {model.tag} edits in z and has no style space"
    return f"{name}: {model.tag} has no such directions; run: gradctrl directions {model.card.name}"
