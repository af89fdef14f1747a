"""export/outcomes.py: targets, and what counts as reached and clean, on the shipped avatars."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from export.demo_model.avatar_networks import NAME
from export.evaluation import Judge
from export.fetching import fetch_model
from export.labelers.avatars_judge import judge_labels
from export.onlookers import Onlooker, image_onlooker
from export.outcomes import Outcome, Samples, draw_samples, draw_targets, edit_samples
from export.strips import LocalModel, load_local


@pytest.fixture(scope="module")
def model(bentoml_home: Path) -> LocalModel:
    """The shipped avatars with their heads."""
    return load_local(fetch_model(NAME))


@pytest.fixture(scope="module")
def onlooker(model: LocalModel) -> Onlooker:
    """What the judge of avatars reads."""
    generator = model.generator
    return image_onlooker(generator, Judge(NAME, generator.card.attributes, (judge_labels,)))


@pytest.mark.parametrize("num_classes", [2, 6])
def test_targets_are_every_other_class(num_classes: int) -> None:
    before = np.repeat(np.arange(num_classes), 200)
    target = draw_targets(before, num_classes, seed=0)
    assert (target != before).all()
    for k in range(num_classes):
        assert set(target[before == k]) == set(range(num_classes)) - {k}


def test_accuracy_counts_edits_that_changed_nothing_else() -> None:
    after = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
    outcome = Outcome(np.zeros_like(after), after, 0, np.ones(4, dtype=np.int64), ("smile", "age"))
    assert outcome.accuracy == 0.25
    assert outcome.worth == pytest.approx((0.5 + 2 * 0.25) / 3)


def test_joined_edits_count_alike() -> None:
    def outcome(after: list[list[int]]) -> Outcome:
        labels = np.array(after)
        return Outcome(np.zeros_like(labels), labels, 0, np.ones_like(labels[:, 0]), ("a", "b"))

    both = outcome([[1, 0]]).joined(outcome([[1, 1], [0, 1]]))
    assert both.reached.tolist() == [True, True, False]
    assert both.changed.tolist() == [[False, False], [False, True], [False, True]]
    assert both.start.tolist() == [0, 0, 0]
    assert both.accuracy == pytest.approx(1 / 3)


def test_no_step_reaches_nothing_and_changes_nothing(model: LocalModel, onlooker: Onlooker) -> None:
    samples = draw_samples(model, onlooker, 0, 8)
    attribute = model.generator.card.attributes[0]
    nothing = attribute.defaults.model_copy(update={"steps": 0})
    outcome = edit_samples(model, onlooker, samples, attribute, nothing)
    assert not outcome.reached.any()
    assert not outcome.changed.any()


def test_better_by_less_than_a_standard_error_is_not_clear() -> None:
    def outcome(*reached: int) -> Outcome:
        after = np.array(reached)[:, None]
        return Outcome(np.zeros_like(after), after, 0, np.ones_like(after[:, 0]), ("smile",))

    none, one, two = outcome(0, 0, 0, 0), outcome(0, 0, 0, 1), outcome(0, 0, 1, 1)
    assert two.is_clearly_better(none)
    assert outcome(0, 1, 1, 1).is_clearly_better(outcome(0, 0, 0, 1))
    assert not two.is_clearly_better(none, errors=2.0)  # a gain of 2/4, whose error is 1/4
    assert outcome(0, 1, 1, 1).is_clearly_better(none, errors=2.0)
    assert not outcome(1, 1, 0, 0).is_clearly_better(outcome(0, 0, 0, 1))  # two gained, one lost
    assert not one.is_clearly_better(one)
    assert not none.is_clearly_better(two)


def test_an_edit_of_every_frame_ends_where_the_target_is_first_seen(
    model: LocalModel, onlooker: Onlooker
) -> None:
    looked_at = []

    def margins(latents: Tensor, offsets: Tensor | None) -> Tensor:
        looked_at.append(len(latents))
        return onlooker.margins(latents, offsets)

    watching = replace(onlooker, margins=margins)
    samples = draw_samples(model, onlooker, 0, 8)
    glasses = next(one for one in model.generator.card.attributes if one.name == "eyeglasses")
    walk = glasses.defaults.model_copy(update={"steps": 40, "goal": None})
    found = edit_samples(model, watching, samples, glasses, walk, every_frame=True)
    assert found.reached.all()
    first_seen = 0
    for i in range(8):  # the same steps, a sample at a time
        alone = Samples(samples.latents[i : i + 1], samples.labels[i : i + 1])
        for steps in range(1, 41):
            shorter = walk.model_copy(update={"steps": steps})
            frame = edit_samples(model, onlooker, alone, glasses, shorter)
            if frame.reached.all():
                first_seen += steps
                break
        assert (frame.changed == found.changed[i]).all()
    assert sum(looked_at) == first_seen < 8 * 40


def test_an_edit_that_never_shows_the_target_ends(model: LocalModel, onlooker: Onlooker) -> None:
    samples = draw_samples(model, onlooker, 0, 4)
    glasses = next(one for one in model.generator.card.attributes if one.name == "eyeglasses")
    tiny = glasses.defaults.model_copy(update={"step_size": 1e-4, "steps": 40, "goal": None})
    found = edit_samples(model, onlooker, samples, glasses, tiny, every_frame=True)
    assert not found.reached.any()
    assert not found.changed.any()
