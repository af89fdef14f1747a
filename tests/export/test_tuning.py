"""export/tuning.py: the choice of defaults, on the shipped avatars."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export import edit_choices, tuning
from export.banks import make_bank, open_bank
from export.demo_model.avatar_networks import NAME
from export.errors import LabelError
from export.evaluation import Judge
from export.fetching import fetch_model
from export.labelers.avatars_judge import judge_labels
from export.labels import save_labels
from export.onlookers import Onlooker, image_onlooker
from export.outcomes import Outcome, draw_samples, edit_samples
from export.strips import LocalModel, load_local
from export.tuning import (
    VALIDATION_SEEDS,
    Tuned,
    TuneOptions,
    store_tuned,
    tune_attribute,
    tune_model,
)
from model_store import EditDefaults, StoredModel, save_attributes, save_model
from tests.doubles import ATTRIBUTES, make_card, make_generator, make_heads

SEEN = ("eyeglasses", "smile")


@pytest.fixture(scope="module")
def stored(bentoml_home: Path) -> StoredModel:
    """The shipped avatars."""
    return fetch_model(NAME)


@pytest.fixture(scope="module")
def model(stored: StoredModel) -> LocalModel:
    """Their generator and heads."""
    return load_local(stored)


@pytest.fixture(scope="module")
def onlooker(model: LocalModel) -> Onlooker:
    """Somebody who can see two attributes alone."""
    known = tuple(one for one in model.generator.card.attributes if one.name in SEEN)
    return image_onlooker(model.generator, Judge(NAME, known, (judge_labels,)))


def test_chosen_defaults_are_no_worse_than_others_and_the_same_again(
    model: LocalModel, onlooker: Onlooker
) -> None:
    samples = draw_samples(model, onlooker, VALIDATION_SEEDS, 12)
    attribute = next(one for one in model.generator.card.attributes if one.name == "eyeglasses")
    tuned = tune_attribute(model, onlooker, samples, attribute)
    chosen = tuned.attribute.defaults
    assert edit_samples(model, onlooker, samples, attribute, chosen).worth == tuned.outcome.worth
    weak = chosen.model_copy(update={"goal": 0.8, "layers": (8, 10)})
    assert tuned.outcome.worth >= edit_samples(model, onlooker, samples, attribute, weak).worth
    assert tune_attribute(model, onlooker, samples, attribute).attribute == tuned.attribute


def test_a_line_tells_what_is_countered() -> None:
    smile = ATTRIBUTES[0]
    labels = np.zeros((2, 3), dtype=np.int64)
    outcome = Outcome(labels, labels, 0, labels[:, 0], ("smile", "age", "hair"))
    assert Tuned(smile, outcome).describe().endswith("exclude age:3, countered hair")
    assert Tuned(smile.with_side_effects(()), outcome).describe().endswith("exclude age:3")


def test_a_step_that_hardly_moves_is_given_up(
    model: LocalModel, onlooker: Onlooker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edit_choices, "_STEP_SIZES", (0.5, 0.01))
    first = edit_choices.first_choice
    monkeypatch.setattr(
        tuning, "first_choice", lambda card, one: replace(first(card, one), step_size=0.01)
    )
    monkeypatch.setattr(tuning, "variations", lambda card, one: iter(()))
    samples = draw_samples(model, onlooker, VALIDATION_SEEDS, 12)
    attribute = next(one for one in model.generator.card.attributes if one.name == "eyeglasses")
    chosen = tune_attribute(model, onlooker, samples, attribute).attribute.defaults
    assert chosen.step_size == 0.5
    walks = (
        chosen.model_copy(update={"step_size": size, "steps": 40, "goal": None})
        for size in (0.5, 0.01)
    )
    longer, shorter = (
        edit_samples(model, onlooker, samples, attribute, one, every_frame=True) for one in walks
    )
    assert longer.is_clearly_better(shorter)


def test_what_nobody_can_see_keeps_its_defaults(stored: StoredModel, tmp_path: Path) -> None:
    make_bank(stored, 300, tmp_path, truncation=1.0)
    bank = open_bank(tmp_path, NAME)
    labels = judge_labels(bank.images)
    save_labels(tmp_path, {name: labels[name] for name in SEEN})
    tuned = tune_model(stored, bank, tmp_path, TuneOptions(samples=4))
    assert [one.attribute.name for one in tuned] == list(SEEN)
    with pytest.raises(LabelError, match="background: nobody can see it; known are eyeglasses"):
        tune_model(stored, bank, tmp_path, TuneOptions(samples=4, attributes=("background",)))


def test_what_was_trained_meanwhile_keeps_its_defaults(bentoml_home: Path) -> None:
    model = save_model(make_generator(), make_card("tuned"), make_heads())
    smile, age, _ = ATTRIBUTES
    labels = np.ones((1, 3), dtype=np.int64)
    outcome = Outcome(labels, labels, 0, labels[:, 0], ("smile", "age", "hair"))
    chosen = EditDefaults(steps=3)
    tuned = [Tuned(one.with_defaults(chosen), outcome) for one in (smile, age)]
    again = age.model_copy(update={"validation_accuracy": 0.5})
    latest = save_attributes(model, [again], {"age": make_heads()["age"]})
    warnings: list[str] = []
    cards = {one.name: one for one in store_tuned(latest, tuned, warnings.append).card.attributes}
    assert cards["smile"].defaults == chosen
    assert cards["age"] == again
    assert warnings == ["age was trained meanwhile and keeps its defaults; tune it again"]
