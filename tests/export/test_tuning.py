"""export/tuning.py: targets, outcomes and the choice of defaults, on the shipped avatars."""

from pathlib import Path

import numpy as np
import pytest

from export.demo_model.avatar_networks import NAME
from export.evaluation import Judge
from export.fetching import fetch_model
from export.labelers.avatars_judge import judge_labels
from export.looking import Look, judge_look
from export.strips import LocalModel, load_local
from export.tuning import (
    VALIDATION_SEEDS,
    Outcome,
    draw_samples,
    draw_targets,
    edit_samples,
    tune_attribute,
)


@pytest.fixture(scope="module")
def model(bentoml_home: Path) -> LocalModel:
    """The shipped avatars with their heads."""
    return load_local(fetch_model(NAME))


@pytest.fixture(scope="module")
def look(model: LocalModel) -> Look:
    """What the judge of avatars reads."""
    generator = model.generator
    return judge_look(generator, Judge(NAME, generator.card.attributes, (judge_labels,)))


@pytest.mark.parametrize("num_classes", [2, 6])
def test_targets_are_every_other_class(num_classes: int) -> None:
    before = np.repeat(np.arange(num_classes), 200)
    target = draw_targets(before, num_classes, seed=0)
    assert (target != before).all()
    for k in range(num_classes):
        assert set(target[before == k]) == set(range(num_classes)) - {k}


def test_accuracy_counts_edits_that_changed_nothing_else() -> None:
    outcome = Outcome(
        start=np.zeros(4),
        target=np.ones(4),
        reached=np.array([True, True, False, False]),
        changed=np.array([[False], [True], [False], [True]]),
    )
    assert outcome.accuracy == 0.25
    assert outcome.worth == pytest.approx((0.5 + 2 * 0.25) / 3)


def test_no_step_reaches_nothing_and_changes_nothing(model: LocalModel, look: Look) -> None:
    samples = draw_samples(model, look, 0, 8)
    attribute = model.generator.card.attributes[0]
    nothing = attribute.defaults.model_copy(update={"steps": 0})
    outcome = edit_samples(model, look, samples, attribute, nothing)
    assert not outcome.reached.any()
    assert not outcome.changed.any()


def test_chosen_defaults_are_no_worse_than_others_and_the_same_again(
    model: LocalModel, look: Look
) -> None:
    samples = draw_samples(model, look, VALIDATION_SEEDS, 12)
    attribute = model.generator.card.attributes[2]
    tuned = tune_attribute(model, look, samples, attribute)
    chosen = tuned.attribute.defaults
    assert edit_samples(model, look, samples, attribute, chosen).worth == tuned.outcome.worth
    weak = chosen.model_copy(update={"goal": 0.8, "layers": (8, 10)})
    assert tuned.outcome.worth >= edit_samples(model, look, samples, attribute, weak).worth
    assert tune_attribute(model, look, samples, attribute).attribute == tuned.attribute
