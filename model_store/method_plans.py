"""Named edits by any method to indices: what a method cannot honour is refused, never ignored.

The default method is planned in plans.py; this knows how the others differ. Knows nothing about
HTTP or tensors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from editing import RELEASED_STEPS
from model_store.cards import MethodName, ModelCard
from model_store.directions import STYLE_METHODS
from model_store.errors import PlanError
from model_store.methods import (
    BASELINES,
    DEFAULT_METHOD,
    RELEASED_METHODS,
    STYLE_STEP_SIZE,
    Offer,
    Offers,
)
from model_store.plans import PlannedEdit, plan_edit

_UNMASKED = "its direction is fixed beforehand and masks nothing"
_REFUSED: Mapping[MethodName, Mapping[str, str]] = {  # by argument, with the reason
    "gradctrl-released": {"step_size": "its steps have the released length, 4 / 9"},
    "gradctrl-paper": {
        "step_size": "its steps are 0.6 times the gradient",
        "stop": "it stops when the head's label is the target",
    },
    "interfacegan": {"exclude": f"{_UNMASKED}; interfacegan-conditional keeps other attributes"},
    "interfacegan-conditional": {"exclude": _UNMASKED},
    "ganspace": {"exclude": _UNMASKED},
    "stylespace": {
        "exclude": _UNMASKED,
        "layers": "it moves style channels, whatever layer they are of",
        "stop": "it moves styles, which the heads cannot read",
    },
}


@dataclass(frozen=True)
class EditKnobs:
    """What a user may say about an edit; None takes the default of the card or of the method."""

    steps: int | None = None
    step_size: float | None = None
    exclude: Sequence[tuple[str, int]] | None = None  # (attribute, top_k)
    layers: tuple[int, int] | None = None
    stop: float | None = None


def plan_by_method(
    card: ModelCard,
    offers: Offers,
    method: MethodName,
    attribute: str,
    target: str,
    knobs: EditKnobs,
) -> PlannedEdit:
    """One edit by indices, by a method that the model has for the attribute.

    Lines take the card's step size (stylespace: one standard deviation) and the layers that their
    direction was chosen for; the released procedure takes its nine steps. Raises PlanError.
    """
    default = _planned(card, attribute, target, knobs)
    if method == DEFAULT_METHOD:
        return default
    offer = _offer(card, offers, method, attribute)
    _expect_class(offer, method, attribute, target)
    _expect_honoured(method, knobs)
    if method in RELEASED_METHODS:
        steps = default_steps(method, default.steps) if knobs.steps is None else knobs.steps
        planned = _planned(card.as_one_layer(), attribute, target, replace(knobs, steps=steps))
        return replace(planned, goal=inf, method=method)
    planned = _planned(card, attribute, target, replace(knobs, exclude=()))
    if method in STYLE_METHODS and knobs.step_size is None:
        planned = replace(planned, step_size=STYLE_STEP_SIZE)
    if knobs.layers is None:
        planned = replace(planned, layers=offer.layers.get(target, (0, card.latent_shape[0])))
    return replace(planned, goal=inf, method=method)


def default_steps(method: str, card_steps: int) -> int:
    """How many steps a method takes when nobody says: the card's, the released procedure its 9."""
    return RELEASED_STEPS if method == "gradctrl-released" else card_steps


def expect_order(edits: Sequence[PlannedEdit]) -> None:
    """PlanError unless edits of styles come last: the heads cannot read what these changed.

    Style offsets do not depend on the latent, so the order does not change the last image.
    """
    moved = False
    for index, edit in enumerate(edits):
        if moved and edit.method not in STYLE_METHODS:
            message = (
                f"{edit.method} cannot follow {STYLE_METHODS[0]}, whose changes the heads cannot "
                "read; put it before: the last image is the same"
            )
            raise PlanError("bad_request", message, f"edits[{index}].method", STYLE_METHODS)
        moved = moved or edit.method in STYLE_METHODS


def _planned(card: ModelCard, attribute: str, target: str, knobs: EditKnobs) -> PlannedEdit:
    return plan_edit(
        card,
        attribute,
        target,
        knobs.steps,
        knobs.step_size,
        knobs.exclude,
        knobs.layers,
        knobs.stop,
    )


def _offer(card: ModelCard, offers: Offers, method: MethodName, attribute: str) -> Offer:
    found = offers.get(method, {}).get(attribute)
    if found is not None:
        return found
    usable = [name for name, attributes in offers.items() if attribute in attributes]
    what = "directions" if method in BASELINES else "one-layer heads"
    message = (
        f"model {card.name!r} has no {what} of {method} for {attribute!r}; it has: "
        f"{', '.join(usable)}"
    )
    raise PlanError("bad_request", message, "method", usable)


def _expect_class(offer: Offer, method: MethodName, attribute: str, target: str) -> None:
    if target not in offer.classes:
        message = f"{method} has no direction towards {target!r} of {attribute!r}"
        raise PlanError("bad_request", message, "target", offer.classes)


def _expect_honoured(method: MethodName, knobs: EditKnobs) -> None:
    given = {name: getattr(knobs, name) for name in _REFUSED[method]}
    for name, value in given.items():
        if value is not None and value != () and value != []:  # excluding nothing is what it does
            reason = _REFUSED[method][name]
            raise PlanError("bad_request", f"{method} takes no {name}: {reason}", name, [])
