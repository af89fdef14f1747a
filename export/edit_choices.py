"""Defaults of an attribute that can be tried, one change at a time. Knows nothing about edits."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from model_store import AttributeCard, EditDefaults, Exclusion, ModelCard

_STEPS = 8
_GOALS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.998)  # of heads that read all layers
_STEP_SIZES = (0.25, 0.35, 0.5, 0.7, 1.0)  # with a goal: of walks that have none
_FIRST_OF_STEP_SIZES = 2
_LENGTHS = (1.5, 2.5, 3.5, 5.0, 7.0, 10.0)  # L2 of the whole walk, of other heads
_FIRST_OF_EXTENTS = 2
_MASKED_SHARES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.5)  # the last three: the paper's 50, 100, 250


@dataclass(frozen=True)
class EditChoice:
    """One candidate for the defaults of an attribute."""

    extent: float  # the goal of heads that read all layers, else the length of the whole walk
    layers: tuple[int, int]  # half-open
    top_k: Mapping[str, int]  # of every other attribute; 0 leaves it unprotected, 1 projects alone
    step_size: float = _STEP_SIZES[_FIRST_OF_STEP_SIZES]  # unless the length of the walk gives it

    def as_defaults(self, card: ModelCard) -> EditDefaults:
        """As the card states it."""
        wide = _is_wide(card)
        masks = [Exclusion(attribute=name, top_k=k) for name, k in self.top_k.items() if k]
        return EditDefaults(
            steps=_STEPS,
            step_size=self.step_size if wide else round(self.extent / _STEPS, 4),
            goal=self.extent if wide else None,
            exclude=tuple(masks),
            layers=self.layers,
        )


Vary = Callable[[EditChoice], list[EditChoice]]  # candidates that differ from a choice in one thing


def first_choice(card: ModelCard, attribute: AttributeCard) -> EditChoice:
    """All layers, all others protected by projection and next to no mask."""
    others = dict.fromkeys(_others(card, attribute), 1)
    return EditChoice(_extents(card)[_FIRST_OF_EXTENTS], (0, card.latent_shape[0]), others)


def variations(card: ModelCard, attribute: AttributeCard) -> Iterator[Vary]:
    """What to change, in this order."""
    num_layers = card.latent_shape[0]
    top_ks = sorted({0, 1, *(round(share * card.head_channels) for share in _MASKED_SHARES)})
    yield partial(_with_extents, extents=_extents(card))
    if num_layers > 1:
        yield partial(_with_last_layers, num_layers=num_layers)
        yield _with_first_layers
        yield partial(_with_last_layers, num_layers=num_layers)
    yield partial(_with_masks, names=_others(card, attribute), top_ks=top_ks)
    for name in _others(card, attribute):
        yield partial(_with_masks, names=[name], top_ks=top_ks)
    yield partial(_with_extents, extents=_extents(card))


def step_variations(card: ModelCard, choice: EditChoice) -> list[EditChoice]:
    """Other lengths of a step for walks without the goal; none where the extent is the length."""
    return [replace(choice, step_size=size) for size in _STEP_SIZES] if _is_wide(card) else []


def _is_wide(card: ModelCard) -> bool:
    return card.heads_read == "all_layers"


def _extents(card: ModelCard) -> tuple[float, ...]:
    return _GOALS if _is_wide(card) else _LENGTHS


def _others(card: ModelCard, attribute: AttributeCard) -> list[str]:
    return [one.name for one in card.attributes if one.name != attribute.name]


def _with_extents(choice: EditChoice, extents: tuple[float, ...]) -> list[EditChoice]:
    return [replace(choice, extent=extent) for extent in extents]


def _with_first_layers(choice: EditChoice) -> list[EditChoice]:
    last = choice.layers[1]
    return [replace(choice, layers=(first, last)) for first in range(last)]


def _with_last_layers(choice: EditChoice, num_layers: int) -> list[EditChoice]:
    first = choice.layers[0]
    return [replace(choice, layers=(first, last)) for last in range(first + 1, num_layers + 1)]


def _with_masks(choice: EditChoice, names: list[str], top_ks: list[int]) -> list[EditChoice]:
    return [replace(choice, top_k={**choice.top_k, **dict.fromkeys(names, k)}) for k in top_ks]
