"""Named edits to indices: defaults from the card, bounds checked. Knows nothing about HTTP.

The service and the command line both plan edits here, so that both refuse the same things.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from editing import NEVER_STOP, ClassPulls, WalkPlan, stacked_pulls
from model_store.cards import AttributeCard, EditDefaults, MethodName, ModelCard, SideEffect
from model_store.errors import PlanError

MAX_STEPS = 64
MAX_STEP_SIZE = 10.0


@dataclass(frozen=True)
class PlannedEdit:
    """One edit by indices."""

    attribute: int
    target: int
    steps: int
    step_size: float
    top_k: tuple[int, ...]  # per attribute of the card; 0 protects nothing
    layers: tuple[int, int]  # half-open
    stop_probability: float
    goal: float = math.inf  # log-odds of the target that the last step aims at; inf: full steps
    row_noise: float = 0.0  # over which gradctrl averages the target's row, of each channel
    pulls: ClassPulls = ()  # by which gradctrl counters side effects
    method: MethodName = "gradctrl"

    def masked(self, card: ModelCard) -> list[tuple[str, int]]:
        """The exclusions as (attribute, top_k)."""
        return [(card.attributes[a].name, k) for a, k in enumerate(self.top_k) if k]


def plan_edit(
    card: ModelCard,
    attribute: str,
    target: str,
    steps: int | None = None,
    step_size: float | None = None,
    exclude: Sequence[tuple[str, int]] | None = None,
    layers: tuple[int, int] | None = None,
    stop: float | None = None,
) -> PlannedEdit:
    """One edit by indices; None takes the card's default, an empty `exclude` protects nothing.

    A given step_size is the length of every step; without one the walk may aim at the card's goal.
    Side effects on the card are those of its exclusions and layers: others leave them uncountered.

    Raises PlanError, whose `field` is the name of the argument at fault.
    """
    a, found = _attribute(card, attribute, "attribute")
    to_defaults = exclude is None and layers is None
    _expect_extent(steps, step_size, stop)
    defaults = found.defaults
    chosen = defaults.as_pairs() if exclude is None else exclude
    return PlannedEdit(
        a,
        _class(found, target),
        defaults.steps if steps is None else steps,
        defaults.step_size if step_size is None else step_size,
        _top_k(card, a, chosen),
        _layers(card, found, layers),
        NEVER_STOP if stop is None else stop,
        _goal(defaults) if step_size is None else math.inf,
        found.latent_std,
        _pulls(card, found, target) if to_defaults else (),
    )


def walk_plan(edits: Sequence[PlannedEdit], device: torch.device | str) -> tuple[WalkPlan, Tensor]:
    """The plan of a batch with one edit per sample, and the layer ranges [N, 2]."""

    def column(values: list[Any], dtype: torch.dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    plan = WalkPlan(
        attribute=column([edit.attribute for edit in edits], torch.int64),
        target=column([edit.target for edit in edits], torch.int64),
        steps=column([edit.steps for edit in edits], torch.int64),
        step_size=column([edit.step_size for edit in edits], torch.float32),
        top_k=column([edit.top_k for edit in edits], torch.int64),
        stop_probability=column([edit.stop_probability for edit in edits], torch.float32),
        goal=column([edit.goal for edit in edits], torch.float32),
        row_noise=column([edit.row_noise for edit in edits], torch.float32),
        pulls=stacked_pulls([edit.pulls for edit in edits], device),
    )
    return plan, column([edit.layers for edit in edits], torch.int64)


def _goal(defaults: EditDefaults) -> float:
    return math.inf if defaults.goal is None else math.log(defaults.goal / (1 - defaults.goal))


def _expect_extent(steps: int | None, step_size: float | None, stop: float | None) -> None:
    """PlanError for numbers, where there are any, that no walk can take; NaN is none of them."""
    allowed = {
        "steps": (steps is None or 0 <= steps <= MAX_STEPS, f"0 <= steps <= {MAX_STEPS}"),
        "step_size": (
            step_size is None or 0 < step_size <= MAX_STEP_SIZE,
            f"0 < step_size <= {MAX_STEP_SIZE:g}",
        ),
        "stop": (stop is None or 0 < stop < 1, "0 < stop < 1"),
    }
    given = {"steps": steps, "step_size": step_size, "stop": stop}
    for field, (is_allowed, bounds) in allowed.items():
        if not is_allowed:
            message = f"expected {bounds}, got {given[field]}"
            raise PlanError("bad_request", message, field, [bounds])


def _attribute(card: ModelCard, name: str, field: str) -> tuple[int, AttributeCard]:
    names = [attribute.name for attribute in card.attributes]
    if name not in names:
        raise PlanError(
            "unknown_attribute",
            f"model {card.name!r} has no attribute {name!r}; it has {names or 'none'}",
            field,
            names,
        )
    return names.index(name), card.attributes[names.index(name)]


def _class(attribute: AttributeCard, name: str) -> int:
    if name in attribute.classes:
        return attribute.classes.index(name)
    raise PlanError(
        "unknown_class",
        f"attribute {attribute.name!r} has no class {name!r}; it has {list(attribute.classes)}",
        "target",
        attribute.classes,
    )


def _top_k(card: ModelCard, target: int, exclude: Sequence[tuple[str, int]]) -> tuple[int, ...]:
    channels = card.head_channels
    found: dict[int, int] = {}  # by attribute
    for index, (name, k) in enumerate(exclude):
        field = f"exclude[{index}]"
        a, _ = _attribute(card, name, f"{field}.attribute")
        if a == target or a in found:
            taken = {target, *found}
            others = [other.name for b, other in enumerate(card.attributes) if b not in taken]
            why = "is the edited attribute" if a == target else "is excluded already"
            message = f"{name!r} {why}; it cannot be excluded"
            raise PlanError("bad_request", message, f"{field}.attribute", others)
        if not 0 <= k <= channels:
            message = f"top_k {k} is not within the latent's {channels} channels"
            raise PlanError("bad_request", message, f"{field}.top_k", [0, channels])
        found[a] = k
    return tuple(found.get(a, 0) for a in range(len(card.attributes)))


def _layers(
    card: ModelCard, attribute: AttributeCard, requested: tuple[int, int] | None
) -> tuple[int, int]:
    num_layers, _ = card.latent_shape
    low, high = requested or attribute.defaults.layers or (0, num_layers)
    if not 0 <= low < high <= num_layers:
        message = f"layers must satisfy 0 <= from < to <= {num_layers}, got {[low, high]}"
        raise PlanError("bad_request", message, "layers", [0, num_layers])
    return low, high


def _pulls(card: ModelCard, attribute: AttributeCard, target: str) -> ClassPulls:
    """Against the side effects of edits to the target, of every attribute of the card."""
    effects = {one.attribute: one for one in attribute.side_effects if one.target == target}
    if not effects:
        return ()
    most = max(len(one.classes) for one in card.attributes)
    return tuple(_pulls_of(effects.get(one.name), one.classes, most) for one in card.attributes)


def _pulls_of(
    effect: SideEffect | None, classes: Sequence[str], most: int
) -> tuple[tuple[float, ...], ...]:
    """By present class: against what takes it and towards what it takes, of length `share`."""
    pulls = [[0.0] * most for _ in range(most)]
    for swap in () if effect is None else effect.swaps:
        lost, gained = classes.index(swap.lost), classes.index(swap.gained)
        for present in (lost, gained):
            pulls[present][lost] += swap.rate
            pulls[present][gained] -= swap.rate
    lengths = [math.hypot(*row) or 1.0 for row in pulls]
    share = 0.0 if effect is None else effect.share
    return tuple(
        tuple(share * weight / length for weight in row)
        for row, length in zip(pulls, lengths, strict=True)
    )
