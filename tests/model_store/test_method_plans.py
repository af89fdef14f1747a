"""model_store/method_plans.py: defaults of every method, and what each of them cannot honour."""

import math
from typing import Any

import pytest

from editing import NEVER_STOP
from model_store import (
    METHODS,
    EditKnobs,
    MethodName,
    PlanError,
    PlannedEdit,
    StoredModel,
    expect_order,
    method_offers,
    plan_by_method,
    plan_edit,
)
from tests.doubles import NUM_WS


def plan(
    model: StoredModel, method: MethodName, name: str = "age", to: str = "old", **knobs: Any
) -> PlannedEdit:
    offers = method_offers(model)
    return plan_by_method(model.card, offers, method, name, to, EditKnobs(**knobs))


def test_offers_name_the_classes_and_layers_of_every_direction(tiny_lines: StoredModel) -> None:
    offers = method_offers(tiny_lines)
    assert tuple(offers) == METHODS
    assert {method: list(found) for method, found in offers.items()} == {
        "gradctrl": ["smile", "age", "hair"],
        "gradctrl-released": ["smile", "age", "hair"],
        "gradctrl-paper": ["smile", "age", "hair"],
        "interfacegan": ["smile", "age"],
        "interfacegan-conditional": ["age"],
        "ganspace": ["age"],
        "stylespace": ["smile", "age"],
    }
    assert offers["ganspace"]["age"].layers == {"young": (0, 1), "old": (2, 4)}
    assert offers["stylespace"]["age"].classes == ("old",)


def test_the_default_method_is_planned_as_ever(tiny_lines: StoredModel) -> None:
    card = tiny_lines.card
    assert plan(tiny_lines, "gradctrl") == plan_edit(card, "age", "old")
    knobs: dict[str, Any] = {"steps": 3, "step_size": 0.2, "exclude": [("smile", 4)]}
    knobs |= {"layers": (1, 3), "stop": 0.9}
    assert plan(tiny_lines, "gradctrl", **knobs) == plan_edit(card, "age", "old", **knobs)


def test_released_methods_mask_as_the_card_says(tiny_lines: StoredModel) -> None:
    released = plan(tiny_lines, "gradctrl-released", "smile", "smiling")
    assert (released.steps, released.top_k, released.layers) == (9, (0, 3, 0), (0, NUM_WS))
    paper = plan(tiny_lines, "gradctrl-paper", "smile", "smiling")
    assert (paper.steps, paper.top_k, paper.goal) == (6, (0, 3, 0), math.inf)
    own = plan(tiny_lines, "gradctrl-released", steps=4, exclude=[("hair", 2)], layers=(1, 2))
    assert (own.steps, own.top_k, own.layers) == (4, (0, 0, 2), (1, 2))
    assert plan(tiny_lines, "gradctrl-released", stop=0.9).stop_probability == 0.9


def test_masks_of_released_methods_take_the_same_share_of_the_channels_of_one_layer(
    tiny_lines: StoredModel,
) -> None:
    smile, *others = tiny_lines.card.attributes
    wide = smile.defaults.exclude[0].model_copy(update={"top_k": 40})
    defaults = smile.defaults.model_copy(update={"exclude": (wide,)})
    attributes = (smile.model_copy(update={"defaults": defaults}), *others)
    card = tiny_lines.card.model_copy(update={"heads_read": "all_layers", "attributes": attributes})
    offers = method_offers(tiny_lines)

    def released(knobs: EditKnobs) -> PlannedEdit:
        return plan_by_method(card, offers, "gradctrl-released", "smile", "smiling", knobs)

    assert released(EditKnobs()).top_k == (0, round(40 / NUM_WS), 0)
    with pytest.raises(PlanError, match="not within the latent's 16 channels"):
        released(EditKnobs(exclude=[("age", 17)]))


def test_lines_take_the_step_of_the_card_and_their_own_layers(tiny_lines: StoredModel) -> None:
    line = plan(tiny_lines, "ganspace")
    assert (line.layers, line.step_size, line.steps) == ((2, 4), 0.3, 20)
    assert (line.top_k, line.goal, line.stop_probability) == ((0, 0, 0), math.inf, NEVER_STOP)
    assert plan(tiny_lines, "interfacegan", "smile", "smiling").top_k == (0, 0, 0)
    assert plan(tiny_lines, "ganspace", layers=(0, 2), step_size=0.7).layers == (0, 2)
    assert plan(tiny_lines, "ganspace", exclude=[]).top_k == (0, 0, 0)
    style = plan(tiny_lines, "stylespace")
    assert (style.step_size, style.layers, style.method) == (1.0, (0, NUM_WS), "stylespace")
    assert plan(tiny_lines, "stylespace", step_size=2.5, steps=2).step_size == 2.5


MASKED = {"exclude": [("smile", 1)]}


@pytest.mark.parametrize(
    ("method", "knobs", "reason"),
    [
        ("gradctrl-released", {"step_size": 0.1}, "the released length"),
        ("gradctrl-paper", {"step_size": 0.1}, "0.6 times the gradient"),
        ("gradctrl-paper", {"stop": 0.9}, "stops when"),
        ("interfacegan", MASKED, "masks nothing; interfacegan-conditional keeps"),
        ("interfacegan-conditional", MASKED, "masks nothing"),
        ("ganspace", MASKED, "masks nothing"),
        ("stylespace", MASKED, "masks nothing"),
        ("stylespace", {"layers": (0, 2)}, "style channels"),
        ("stylespace", {"stop": 0.9}, "heads cannot read"),
    ],
)
def test_what_a_method_cannot_honour_is_refused(
    tiny_lines: StoredModel, method: MethodName, knobs: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PlanError, match=reason) as refused:
        plan(tiny_lines, method, **knobs)
    assert refused.value.code == "bad_request"
    assert refused.value.field == next(iter(knobs))


def test_a_method_that_the_model_lacks_names_those_it_has(
    tiny_lines: StoredModel, tiny: StoredModel
) -> None:
    with pytest.raises(PlanError, match="no directions of ganspace for 'smile'") as refused:
        plan(tiny_lines, "ganspace", "smile", "smiling")
    assert refused.value.field == "method"
    walks = ["gradctrl", "gradctrl-released", "gradctrl-paper"]
    assert refused.value.allowed == [*walks, "interfacegan", "stylespace"]
    with pytest.raises(PlanError) as refused:
        plan(tiny, "stylespace")
    assert refused.value.allowed == walks
    with pytest.raises(PlanError, match="no attribute 'beard'"):
        plan(tiny_lines, "ganspace", "beard", "full")
    with pytest.raises(PlanError, match="towards 'young'") as refused:
        plan(tiny_lines, "stylespace", to="young")
    assert (refused.value.field, refused.value.allowed) == ("target", ["old"])


def test_edits_of_styles_come_last(tiny_lines: StoredModel) -> None:
    style, line = plan(tiny_lines, "stylespace"), plan(tiny_lines, "interfacegan")
    expect_order([line, style, style])
    with pytest.raises(PlanError, match="the last image is the same") as refused:
        expect_order([style, style, line])
    assert refused.value.field == "edits[2].method"
