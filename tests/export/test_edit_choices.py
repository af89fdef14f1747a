"""export/edit_choices.py: what is tried, in which order."""

import pytest

from export.edit_choices import EditChoice, first_choice, step_variations, variations
from model_store import EditDefaults, Exclusion, ModelCard
from tests.doubles import NUM_WS, Z_DIM, make_card, make_style_card

SMILE, AGE, HAIR = make_style_card().attributes


@pytest.fixture
def wide() -> ModelCard:
    """A card whose heads read 6 layers of 16 channels."""
    return make_style_card().model_copy(update={"heads_read": "all_layers"})


def test_a_search_begins_with_everything_protected_and_all_layers(wide: ModelCard) -> None:
    assert first_choice(wide, AGE) == EditChoice(0.95, (0, NUM_WS), {"smile": 1, "hair": 1})


def test_a_choice_is_stated_as_defaults_without_what_it_leaves_unprotected(wide: ModelCard) -> None:
    choice = EditChoice(0.9, (2, 4), {"smile": 0, "hair": 5})
    masks = (Exclusion(attribute="hair", top_k=5),)
    goal = EditDefaults(steps=8, step_size=0.5, goal=0.9, exclude=masks, layers=(2, 4))
    assert choice.as_defaults(wide) == goal
    long = EditChoice(0.9, (2, 4), {"smile": 0, "hair": 5}, step_size=0.7)
    assert long.as_defaults(wide) == goal.model_copy(update={"step_size": 0.7})
    length = EditDefaults(steps=8, step_size=0.5, goal=None, exclude=masks, layers=(0, 1))
    assert EditChoice(4.0, (0, 1), {"hair": 5}).as_defaults(make_card()) == length


def test_every_change_is_of_one_thing(wide: ModelCard) -> None:
    chosen = EditChoice(0.9, (2, 4), {"smile": 0, "hair": 5})
    goals, last, first, again, masks, smile, hair, more_goals = (
        vary(chosen) for vary in variations(wide, AGE)
    )
    assert [one.extent for one in goals] == [0.8, 0.9, 0.95, 0.98, 0.99, 0.998]
    assert more_goals == goals
    assert (
        [one.layers for one in last]
        == [(2, 3), (2, 4), (2, 5), (2, 6)]
        == [one.layers for one in again]
    )
    assert [one.layers for one in first] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    shares = [0, 1, *(round(share * NUM_WS * Z_DIM) for share in (0.025, 0.05, 0.1, 0.2))]
    assert [one.top_k for one in masks][:-1] == [{"smile": k, "hair": k} for k in shares]
    assert masks[-1].top_k == {"smile": 48, "hair": 48}  # half of the channels
    assert [one.top_k for one in smile][:-1] == [{"smile": k, "hair": 5} for k in shares]
    assert [one.top_k for one in hair][:-1] == [{"smile": 0, "hair": k} for k in shares]
    for one in (*goals, *again, *first):
        assert one.top_k == chosen.top_k


def test_one_layer_is_not_searched() -> None:
    card = make_card()
    choice = first_choice(card, SMILE)
    assert choice.layers == (0, 1)
    tried = [one for vary in variations(card, HAIR) for one in vary(choice)]
    assert {one.layers for one in tried} == {(0, 1)}


def test_lengths_of_a_step_are_tried_where_a_goal_does_not_give_them(wide: ModelCard) -> None:
    choice = EditChoice(0.9, (2, 4), {"smile": 0, "hair": 5})
    tried = step_variations(wide, choice)
    assert choice in tried
    assert [one.step_size for one in tried] == [0.25, 0.35, 0.5, 0.7, 1.0]
    assert {(one.extent, one.layers) for one in tried} == {(0.9, (2, 4))}
    assert step_variations(make_card(), EditChoice(4.0, (0, 1), {"hair": 5})) == []
