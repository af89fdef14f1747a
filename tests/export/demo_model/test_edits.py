"""export/demo_model/edits.py: targets, outcomes and the choice of defaults."""

import numpy as np
import pytest
import torch

from export.demo_model import edits
from export.demo_model.avatar_networks import NAME
from export.demo_model.judge import Judge
from export.fetching import fetch_model
from export.strips import LocalModel, load_local


@pytest.fixture(scope="module")
def model(bentoml_home: object) -> LocalModel:
    """The shipped avatars with their heads."""
    return load_local(fetch_model(NAME))


@pytest.mark.parametrize("num_classes", [2, 6])
def test_targets_are_every_other_class(num_classes: int) -> None:
    before = np.repeat(np.arange(num_classes), 200)
    target = edits.draw_targets(before, num_classes, seed=0)
    assert (target != before).all()
    for k in range(num_classes):
        assert set(target[before == k]) == set(range(num_classes)) - {k}


@torch.inference_mode()
def test_no_step_reaches_nothing_and_changes_nothing(model: LocalModel) -> None:
    judge = Judge()
    samples = edits.draw_samples(model, judge, 0, 8)
    attribute = model.generator.card.attributes[0]
    nothing = attribute.defaults.model_copy(update={"steps": 0})
    outcome = edits.edit_samples(model, judge, samples, attribute, nothing)
    assert not outcome.reached.any()
    assert outcome.accuracy == 0


@torch.inference_mode()
def test_chosen_defaults_are_no_worse_than_the_first_candidate(model: LocalModel) -> None:
    judge = Judge()
    samples = edits.draw_samples(model, judge, edits.VALIDATION_SEEDS, 12)
    card = model.generator.card
    attribute = card.attributes[0]
    chosen, found = edits.choose_defaults(model, judge, samples, attribute)
    outcome = edits.edit_samples(model, judge, samples, attribute, chosen)
    assert outcome.worth == found.worth
    others = [other.name for other in card.attributes if other.name != attribute.name]
    first = edits.Choice(3.5, (0, card.num_ws or 0), 0).defaults(others)
    worst = edits.edit_samples(model, judge, samples, attribute, first)
    assert found.worth >= worst.worth


def test_tables_count_pairs() -> None:
    outcome = edits.Outcome(
        start=np.array([0, 0, 1]),
        target=np.array([1, 1, 0]),
        reached=np.array([True, True, False]),
        accurate=np.array([True, False, False]),
    )
    assert "| 3 | 0.67 | 0.33 |" in edits.as_table({"hair": outcome})
    assert "1.00 / 0.50 (2)" in edits.pair_table(outcome, ("black", "brown"))
