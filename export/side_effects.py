"""What edits do to other attributes though their directions do not, and how much to counter it.

Where images of walks lose one class of an attribute more often than they gain it, the heads miss
something; where they lose and gain alike, it is chance. Knows nothing about how walks counter it.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from export.onlookers import Onlooker
from export.outcomes import Outcome, Samples, draw_samples, edit_samples, walk_samples
from export.strips import LocalModel
from model_store import AttributeCard, SideEffect, Swap

_SEEDS = 5_000_000  # of what is measured on; validation samples are from 1,000,000 on
_MEASURED = 10  # samples for each that defaults are tuned on: such effects are small
_DECIDING = 3  # the same, of those that choose the strength
_SURE = 2.0  # standard deviations of chance: that there is an effect, that countering it helps
_STRENGTHS = (0.25, 0.5, 1.0, 2.0)  # share of a step for a rate of 1
_LARGEST_SHARE = 0.1


def find_side_effects(
    model: LocalModel, onlooker: Onlooker, attribute: AttributeCard, samples: int, seed: int = 0
) -> tuple[SideEffect, ...]:
    """Those of edits with the card's defaults, if to counter them is surely better; else none.

    `samples` is how many defaults are tuned on: 10 times as many measure the effects, 3 times as
    many others decide.
    """
    first = _SEEDS + seed * samples * (_MEASURED + _DECIDING)
    measured = draw_samples(model, onlooker, first, samples * _MEASURED)
    plain = attribute.with_side_effects(())
    classes = {one.name: one.classes for one in model.generator.card.attributes}
    effects = list(_effects(plain, _walked(model, onlooker, measured, plain), classes))
    if not effects:
        return ()
    deciding = draw_samples(model, onlooker, first + samples * _MEASURED, samples * _DECIDING)
    given = _edited(model, onlooker, deciding, plain)
    countering = [
        plain.with_side_effects(tuple(_countered(one, strength) for one in effects))
        for strength in _STRENGTHS
    ]
    tried = [(one, _edited(model, onlooker, deciding, one)) for one in countering]
    return choose_card(plain, given, tried).side_effects


def choose_card(
    plain: AttributeCard, given: Outcome, tried: Sequence[tuple[AttributeCard, Outcome]]
) -> AttributeCard:
    """The best of those tried, on the samples of `given`, where it is surely better; else `plain`.

    By two standard errors, more than other defaults have to be: the best of several is asked
    about, and a walk that counters takes longer.
    """
    best, found = max(tried, key=lambda pair: pair[1].worth)
    return best if found.is_clearly_better(given, _SURE) else plain


def _walked(
    model: LocalModel, onlooker: Onlooker, samples: Samples, attribute: AttributeCard
) -> Outcome:
    return walk_samples(model, onlooker, samples, attribute, attribute.defaults)


def _edited(
    model: LocalModel, onlooker: Onlooker, samples: Samples, attribute: AttributeCard
) -> Outcome:
    """Edits as users make them, and walks until the target shows."""
    edited = edit_samples(model, onlooker, samples, attribute, attribute.defaults)
    return edited.joined(_walked(model, onlooker, samples, attribute))


def _effects(
    attribute: AttributeCard, outcome: Outcome, classes: Mapping[str, Sequence[str]]
) -> Iterator[SideEffect]:
    """What is not chance; the share is the rate of all its swaps."""
    for target, name in enumerate(attribute.classes):
        edits = outcome.target == target
        for a, other in enumerate(outcome.attributes):
            if a != outcome.edited and edits.any():
                swaps = find_swaps(
                    outcome.before[edits, a], outcome.after[edits, a], classes[other]
                )
                if swaps:
                    rate = min(sum(one.rate for one in swaps), 1.0)
                    yield SideEffect(target=name, attribute=other, swaps=swaps, share=rate)


def find_swaps(
    before: np.ndarray,  # [N], int64, classes by index
    after: np.ndarray,  # [N], int64
    classes: Sequence[str],
) -> tuple[Swap, ...]:
    """Pairs of classes that edits turn one way more often than the other.

    By two standard deviations of what chance would do (McNemar 1947).
    """
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (before, after), 1)
    net, both = counts - counts.T, counts + counts.T
    pairs = np.argwhere((net > 0) & (net >= _SURE * np.sqrt(both)))
    return tuple(
        Swap(lost=classes[i], gained=classes[j], rate=round(float(net[i, j] / len(before)), 5))
        for i, j in pairs
    )


def _countered(effect: SideEffect, strength: float) -> SideEffect:
    share = min(strength * effect.share, _LARGEST_SHARE)
    return effect.model_copy(update={"share": round(share, 4)})
