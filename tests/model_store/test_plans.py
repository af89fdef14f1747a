"""model_store/plans.py: names to indices, and every refusal with its field and what it allows."""

import math
from typing import Any

import pytest

from editing import NEVER_STOP
from model_store import EditDefaults, PlanError, SideEffect, Swap, plan_edit, walk_plan
from tests.doubles import ATTRIBUTES, make_card, make_style_card

CARD = make_card()


def test_missing_fields_take_the_card_s_defaults() -> None:
    planned = plan_edit(CARD, "smile", "smiling")
    assert (planned.attribute, planned.target) == (0, 1)
    assert (planned.steps, planned.step_size) == (6, 0.5)
    assert planned.top_k == (0, 3, 0)
    assert planned.layers == (0, 1)
    assert planned.stop_probability == NEVER_STOP
    assert planned.masked(CARD) == [("age", 3)]


def test_rows_are_averaged_over_noise_of_the_edited_attribute_s_card() -> None:
    edits = [plan_edit(CARD, "smile", "smiling"), plan_edit(CARD, "age", "old", step_size=0.1)]
    plan, _ = walk_plan(edits, "cpu")
    assert plan.row_noise is not None
    assert plan.row_noise.tolist() == pytest.approx([CARD.attributes[0].latent_std, 0])


def test_side_effects_of_the_target_become_pulls_by_present_class() -> None:
    planned = plan_edit(CARD, "smile", "smiling")
    smile, age, hair = planned.pulls  # of classes: not smiling, smiling; young, old; 3 of hair
    assert smile == age == ((0.0,) * 3,) * 3
    black, brown, blond = hair
    weight = 0.05 / math.sqrt(2)
    assert black == blond == pytest.approx((weight, 0.0, -weight))
    assert brown == (0.0, 0.0, 0.0)
    plan, _ = walk_plan([planned, plan_edit(CARD, "smile", "not_smiling")], "cpu")
    assert plan.pulls is not None
    assert plan.pulls.shape == (2, 3, 3, 3)
    assert plan.pulls.flatten(1).any(dim=1).tolist() == [True, False]


def test_a_class_between_two_swaps_is_pulled_both_ways() -> None:
    swaps = (
        Swap(lost="black", gained="brown", rate=0.01),
        Swap(lost="brown", gained="blond", rate=0.02),
    )
    effect = SideEffect(target="smiling", attribute="hair", swaps=swaps, share=0.1)
    smile, *others = CARD.attributes
    attributes = (smile.with_side_effects((effect,)), *others)
    card = CARD.model_copy(update={"attributes": attributes})
    black, brown, blond = plan_edit(card, "smile", "smiling").pulls[2]
    assert black[0] == -black[1] > 0 == black[2]
    assert brown == pytest.approx([0.1 * x / math.sqrt(6) for x in (1, 1, -2)])
    assert blond[1] == -blond[2] > 0 == blond[0]


@pytest.mark.parametrize("given", [{"exclude": []}, {"layers": (0, 1)}])
def test_other_exclusions_or_layers_have_no_measured_side_effects(given: dict[str, Any]) -> None:
    planned = plan_edit(CARD, "smile", "smiling", **given)
    assert planned.pulls == ()
    assert walk_plan([planned], "cpu")[0].pulls is None


def test_an_empty_exclusion_list_protects_nothing() -> None:
    assert plan_edit(CARD, "smile", "smiling", exclude=[]).top_k == (0, 0, 0)


def test_explicit_fields_win() -> None:
    planned = plan_edit(
        CARD, "hair", "blond", 0, 0.1, [("smile", 16), ("age", 2)], (0, 1), stop=0.9
    )
    assert planned.top_k == (16, 2, 0)
    assert (planned.steps, planned.step_size, planned.stop_probability) == (0, 0.1, 0.9)


@pytest.mark.parametrize(
    ("arguments", "code", "field", "allowed"),
    [
        (("beard", "yes"), "unknown_attribute", "attribute", ["smile", "age", "hair"]),
        (("hair", "green"), "unknown_class", "target", ["black", "brown", "blond"]),
        (
            ("age", "old", None, None, [("nose", 3)]),
            "unknown_attribute",
            "exclude[0].attribute",
            ["smile", "age", "hair"],
        ),
        (
            ("age", "old", None, None, [("smile", 1), ("age", 3)]),
            "bad_request",
            "exclude[1].attribute",
            ["hair"],
        ),
        (
            ("age", "old", None, None, [("smile", 1), ("smile", 3)]),
            "bad_request",
            "exclude[1].attribute",
            ["hair"],
        ),
        (
            ("age", "old", None, None, [("smile", 17)]),
            "bad_request",
            "exclude[0].top_k",
            [0, 16],
        ),
        (("age", "old", 65), "bad_request", "steps", ["0 <= steps <= 64"]),
        (("age", "old", None, 0.0), "bad_request", "step_size", ["0 < step_size <= 10"]),
        (("age", "old", None, 300.0), "bad_request", "step_size", ["0 < step_size <= 10"]),
        (("age", "old", None, math.nan), "bad_request", "step_size", ["0 < step_size <= 10"]),
        (("age", "old", None, None, None, None, 90.0), "bad_request", "stop", ["0 < stop < 1"]),
        (("age", "old", None, None, None, None, math.nan), "bad_request", "stop", ["0 < stop < 1"]),
        (("age", "old", None, None, None, (0, 2)), "bad_request", "layers", [0, 1]),
        (("age", "old", None, None, None, (1, 1)), "bad_request", "layers", [0, 1]),
    ],
)
def test_refusals(arguments: tuple[Any, ...], code: str, field: str, allowed: list[object]) -> None:
    with pytest.raises(PlanError) as caught:
        plan_edit(CARD, *arguments)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert caught.value.allowed == allowed


def test_layers_of_the_card_are_checked_as_those_of_the_request() -> None:
    layered = ATTRIBUTES[1].model_copy(update={"defaults": EditDefaults(layers=(2, 4))})
    style = make_style_card().model_copy(update={"attributes": (layered,)})
    assert plan_edit(style, "age", "old").layers == (2, 4)
    assert plan_edit(style, "age", "old", layers=(0, 6)).layers == (0, 6)
    with pytest.raises(PlanError, match="0 <= from < to <= 1"):
        plan_edit(make_card(attributes=(layered,)), "age", "old")


def test_a_batch_has_one_row_per_edit() -> None:
    plan, ranges = walk_plan(
        [plan_edit(CARD, "smile", "smiling"), plan_edit(CARD, "hair", "brown", 3)], "cpu"
    )
    assert plan.attribute.tolist() == [0, 2]
    assert plan.steps.tolist() == [6, 3]
    assert plan.top_k.tolist() == [[0, 3, 0], [0, 0, 0]]
    assert ranges.tolist() == [[0, 1], [0, 1]]
