"""Every way in which a stored model can edit, by name. Knows nothing about HTTP or fitting.

The walks need heads, the baselines need directions (`gradctrl directions`). `available_pairs` is
what may be offered to users; asking for anything else is refused with the reason.
"""

import math
from collections.abc import Callable, Iterable, Sequence

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
from model_store.cards import ModelCard
from model_store.directions import STYLE_METHODS, Directions, stored_directions
from model_store.plans import plan_edit
from model_store.store import StoredModel

STYLE_STEP_SIZE = 1.0  # standard deviations of a channel
_RELEASED: dict[str, Callable[[StackedHeads, Sequence[EditSettings]], Method]] = {
    "gradctrl-released": ReleasedGradCtrl,
    "gradctrl-paper": PaperGradCtrl,
}
BASELINES = ("interfacegan", "interfacegan-conditional", "ganspace", "stylespace")
_WALKS = ("gradctrl", *_RELEASED)
METHODS = (*_WALKS, *BASELINES)


def available_pairs(model: StoredModel) -> list[tuple[str, str]]:
    """(method, attribute) of everything that the model can do, the default method first."""
    names = [attribute.name for attribute in model.card.attributes]
    fitted = {(one.method, one.attribute) for one in stored_directions(model)}
    released = model.one_layer_heads() is not None
    usable = [method for method in _WALKS if method == "gradctrl" or released]
    walks = [(method, name) for method in usable for name in names]
    return walks + [
        (method, name) for method in BASELINES for name in names if (method, name) in fitted
    ]


def stored_methods(
    model: StoredModel,
    names: Iterable[str] = (),  # none: all that the model has
    settings: Sequence[EditSettings] | None = None,  # per attribute; default: the card's
) -> dict[str, Method]:
    """Methods by name; UnsupportedMethodError says what a named one lacks."""
    available = {method for method, _ in available_pairs(model)}
    wanted = tuple(names) or tuple(name for name in METHODS if name in available)
    heads, settings = model.stacked_heads(), settings or card_settings(model.card)
    one_layer = model.one_layer_heads()
    fitted = stored_directions(model)
    found: dict[str, Method] = {}
    for name in wanted:
        if name not in METHODS:
            raise UnsupportedMethodError(f"no method {name!r}; there are: {', '.join(METHODS)}")
        if name not in available or heads is None:
            raise UnsupportedMethodError(_missing(model, name))
        if name == "gradctrl":
            found[name] = GradCtrlWalk(heads, settings)
        elif name in _RELEASED and one_layer is not None:
            found[name] = _RELEASED[name](one_layer, settings)
        else:
            found[name] = _baseline(name, model.card, fitted, settings)
    return found


def card_settings(card: ModelCard, aims: bool = True) -> list[EditSettings]:
    """The defaults of every attribute, by indices; without aims every step has the step size."""
    planned = [plan_edit(card, one.name, one.classes[-1]) for one in card.attributes]
    return [
        EditSettings(
            edit.top_k,
            edit.layers,
            edit.step_size,
            edit.goal if aims and math.isfinite(edit.goal) else None,
        )
        for edit in planned
    ]


def _baseline(
    name: str, card: ModelCard, fitted: Iterable[Directions], settings: Sequence[EditSettings]
) -> Method:
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
    if name in _RELEASED:
        return f"{name}: the heads of {model.tag} read all layers, the released ones read one"
    if name in STYLE_METHODS and model.card.edit_space == "z":
        return f"{name}: {model.tag} edits in z and has no style space"
    return f"{name}: {model.tag} has no such directions; run: gradctrl directions {model.card.name}"
