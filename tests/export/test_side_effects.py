"""export/side_effects.py: what walks do to other attributes, on the shipped avatars."""

import numpy as np
import pytest
import torch
from torch import Tensor

from export.demo_model.avatar_networks import NAME
from export.fetching import fetch_model
from export.onlookers import Onlooker, head_onlooker
from export.outcomes import Outcome, draw_samples, walk_samples
from export.side_effects import choose_card, find_side_effects, find_swaps
from export.strips import LocalModel, load_local
from model_store import AttributeCard

CLASSES = ("pale", "light", "tan", "brown", "dark")


@pytest.fixture(scope="module")
def model(bentoml_home: object) -> LocalModel:
    """The shipped avatars."""
    return load_local(fetch_model(NAME))


def test_what_is_undone_as_often_is_chance() -> None:
    before = np.repeat([0, 1, 2], 100)
    after = before.copy()
    after[:10], after[100:110] = 1, 0  # ten each way
    assert find_swaps(before, after, CLASSES) == ()
    assert find_swaps(before, before, CLASSES) == ()


def test_rates_are_shares_of_all_edits() -> None:
    before = np.repeat([0, 1, 2], 100)
    after = before.copy()
    after[:30], after[100:104] = 1, 0
    (found,) = find_swaps(before, after, CLASSES)
    assert (found.lost, found.gained) == ("pale", "light")
    assert found.rate == pytest.approx(26 / 300, abs=1e-5)


def test_few_edits_say_nothing() -> None:
    assert find_swaps(np.array([0, 0, 1]), np.array([1, 1, 1]), CLASSES) == ()


def arrived(count: int) -> Outcome:
    """So many of 100 edits arrived, the first ones."""
    after = (np.arange(100) < count).astype(np.int64)[:, None]
    return Outcome(np.zeros_like(after), after, 0, np.ones(100, dtype=np.int64), ("smile",))


@pytest.mark.parametrize(
    ("counts", "chosen"),
    [
        ((50, 51, 52, 53), None),  # 3 +- 1.7 of 100: one standard error would let it pass
        ((50, 54, 56, 55), 2),  # 6 +- 2.4
        ((40, 45, 49, 30), None),
    ],
)
def test_the_best_strength_has_to_be_surely_better(
    counts: tuple[int, ...], chosen: int | None
) -> None:
    plain = AttributeCard(name="smile", classes=("no", "yes"))
    cards = [AttributeCard(name=f"smile{i}", classes=("no", "yes")) for i in range(4)]
    tried = [(card, arrived(count)) for card, count in zip(cards, counts, strict=True)]
    expected = plain if chosen is None else cards[chosen]
    assert choose_card(plain, arrived(50), tried) == expected


def blind_to(model: LocalModel, bias: float) -> Onlooker:
    """Sees what the heads see, but eyeglasses darken the skin as no head knows."""
    names = [one.name for one in model.generator.card.attributes]
    glasses, skin = names.index("eyeglasses"), names.index("skin_tone")
    heads = head_onlooker(model.heads, names)
    darker = torch.arange(len(CLASSES)) - len(CLASSES) // 2

    def margins(latents: Tensor, offsets: Tensor | None) -> Tensor:
        found = heads.margins(latents, offsets)
        worn = found[:, glasses, 1:].clamp(-4, 4)
        found[:, skin, : len(CLASSES)] += bias * worn * darker
        return found

    return Onlooker(heads.attributes, margins, False)


def eyeglasses(model: LocalModel) -> AttributeCard:
    """Their card, without side effects."""
    card = model.generator.card
    found = next(one for one in card.attributes if one.name == "eyeglasses")
    assert next(one for one in card.attributes if one.name == "skin_tone").classes == CLASSES
    return found.with_side_effects(())


def test_what_heads_do_not_see_is_found_and_countered(model: LocalModel) -> None:
    onlooker = blind_to(model, 0.5)
    found = find_side_effects(model, onlooker, eyeglasses(model), 30)
    by_edit = {(one.target, one.attribute): one for one in found}
    effect = by_edit["eyeglasses", "skin_tone"]
    assert all(CLASSES.index(one.lost) < CLASSES.index(one.gained) for one in effect.swaps)
    samples = draw_samples(model, onlooker, 0, 200)
    card = eyeglasses(model)
    before = walk_samples(model, onlooker, samples, card, card.defaults)
    after = walk_samples(model, onlooker, samples, card.with_side_effects(found), card.defaults)
    assert after.is_clearly_better(before)
    assert find_side_effects(model, onlooker, card, 30) == found  # seeded


def test_where_heads_see_all_there_is_nothing_to_counter(model: LocalModel) -> None:
    assert find_side_effects(model, blind_to(model, 0.0), eyeglasses(model), 30) == ()
