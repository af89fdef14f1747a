"""export/training.py: few labels in, a stored model out."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from editing import FitOptions
from export.errors import LabelError
from export.fetching import shipped_heads
from export.labels import AttributeLabels, binary_scores, certain_scores
from export.training import (
    TrainedAttribute,
    attribute_card,
    choose_samples,
    doubts,
    lost_methods,
    store_trained,
    train_attribute,
    write_heads,
)
from model_store import (
    FACES_FILE,
    AttributeCard,
    EditDefaults,
    StoredModel,
    save_directions,
    save_model,
)
from tests.doubles import (
    ATTRIBUTES,
    make_card,
    make_directions,
    make_generator,
    make_head,
    make_heads,
    make_style_card,
    make_style_generator,
)

QUICK = FitOptions(num_seeds=2, max_epochs=100)
RNG = np.random.default_rng(0)
LATENTS = RNG.standard_normal((2000, 1, 16)).astype(np.float32)
SCORES = LATENTS[:, 0, 3] * 2 + LATENTS[:, 0, 5]
LABELS = AttributeLabels(("low", "high"), "a rule", binary_scores(SCORES))


def test_thirty_extremes_per_class_learn_a_rule() -> None:
    trained = train_attribute("level", LABELS, LATENTS, 30)
    assert trained.card.validation_accuracy is not None
    assert trained.card.validation_accuracy > 0.7  # a coin gives 0.5
    assert trained.card.validation_samples == 2000 - 60
    assert trained.card.labelled_by == "a rule"
    assert trained.card.latent_std == 0  # that is for heads of all layers


def test_extremes_are_confident_and_validation_is_disjoint() -> None:
    rng = np.random.default_rng(0)
    chosen = choose_samples("level", LABELS, 30, "extremes", rng)
    assert len(set(chosen.tolist())) == 60
    assert np.abs(SCORES[chosen]).min() > np.quantile(np.abs(SCORES), 0.9)
    random = choose_samples("level", LABELS, 30, "random", rng)
    assert np.abs(SCORES[random]).min() < np.quantile(np.abs(SCORES), 0.5)


def by_people(low: int, high: int) -> AttributeLabels:
    """So many samples of each class, the lowest and highest."""
    labels, order = np.full(len(SCORES), -1), np.argsort(SCORES)
    labels[order[:low]], labels[order[-high:]] = 0, 1
    return AttributeLabels(("low", "high"), "people", certain_scores(labels, 2))


def test_without_labels_left_over_accuracy_is_cross_validated() -> None:
    trained = train_attribute("level", by_people(12, 12), LATENTS, 30, options=QUICK)
    assert trained.card.validation_samples == 24
    assert trained.card.validation_accuracy is not None
    assert trained.card.validation_accuracy > 0.8
    assert trained.remark.startswith("cross-validated, held out")
    mixed = by_people(12, 12)
    shuffled = replace(mixed, scores=np.random.default_rng(1).permutation(mixed.scores))
    guessed = train_attribute("level", shuffled, LATENTS, 30, options=QUICK).card
    assert guessed.validation_accuracy is not None
    assert guessed.validation_accuracy < 0.8  # labels that mean nothing are learned, not read
    few = train_attribute("level", by_people(2, 3), LATENTS, 30, options=QUICK).card
    assert (few.validation_samples, few.validation_accuracy) == (0, None)


def test_the_card_counts_the_labels_that_there_were() -> None:
    trained = train_attribute("level", by_people(7, 4), LATENTS, 30, options=QUICK)
    assert trained.card.training_samples_per_class == 4
    assert train_attribute("level", LABELS, LATENTS, 10).card.training_samples_per_class == 10


def test_what_speaks_against_a_head_is_told(tiny_style: StoredModel, tiny: StoredModel) -> None:
    card = attribute_card("smile", by_people(4, 3), np.argsort(SCORES)[[0, 1, -1, -2]], np.ones(10))
    head = make_head(2, 0)

    def told(model: StoredModel, accuracy: float | None, spread: bool = False) -> list[str]:
        one = card.model_copy(update={"validation_accuracy": accuracy})
        return doubts(TrainedAttribute(one, head, ""), model, 2, spread)

    assert told(tiny_style, 0.9) == told(tiny_style, None) == []
    assert doubts(TrainedAttribute(card, head, ""), tiny, 30, False) == [
        "smile: 2 labelled samples of its rarest class, not 30"
    ]
    weak = "smile: accuracy 0.569, guessing has 0.500"
    assert told(tiny, 0.569) == told(tiny_style, 0.569, spread=True) == [weak]
    assert told(tiny_style, 0.569) == [f"{weak}; --spread learns from images too"]
    files = {**tiny.card.files, FACES_FILE: "0" * 64}
    of_faces = replace(tiny, card=tiny.card.model_copy(update={"files": files}))
    assert told(of_faces, 0.569) == [f"{weak}; --spread learns from images too"]
    known = tuple(a.model_copy(update={"validation_accuracy": 0.95}) for a in ATTRIBUTES)
    better = replace(tiny, card=tiny.card.model_copy(update={"attributes": known}))
    assert told(better, 0.9) == ["smile: accuracy 0.900, the head it replaces has 0.950"]


def test_a_class_with_too_few_labels_is_named() -> None:
    scores = np.full((2000, 3), np.nan, dtype=np.float32)
    scores[:50] = np.eye(3)[np.arange(50) % 2]
    labels = AttributeLabels(("a", "b", "c"), "people", scores)
    with pytest.raises(LabelError, match="class 'c' has 0 labelled samples"):
        train_attribute("level", labels, LATENTS, 30)


def test_new_attributes_join_the_old_ones_in_a_new_version(tmp_path: Path) -> None:
    model: StoredModel = save_model(make_generator(), make_card("trained"), make_heads())
    trained = train_attribute("level", LABELS, LATENTS, 10, options=QUICK)
    stored = store_trained(model, [trained])
    assert stored.tag != model.tag
    assert [a.name for a in stored.card.attributes] == [*(a.name for a in ATTRIBUTES), "level"]
    torch.testing.assert_close(stored.heads()["level"].class_weight, trained.head.class_weight)
    write_heads(stored, tmp_path)
    assert len(json.loads((tmp_path / "trained.json").read_text())) == 4
    assert (tmp_path / "trained.safetensors").is_file()


def test_without_chosen_defaults_all_others_are_protected() -> None:
    model: StoredModel = save_model(make_generator(), make_card("trained"), make_heads())
    old = next(one for one in ATTRIBUTES if one.defaults != EditDefaults())
    level = attribute_card("level", LABELS, np.arange(20), np.array([True]))
    size = attribute_card("size", LABELS, np.arange(20), np.array([True]))
    trained = [TrainedAttribute(card, model.heads()["smile"], "") for card in (old, level, size)]
    cards = {one.name: one for one in store_trained(model, trained).card.attributes}
    assert cards[old.name].defaults == old.defaults
    others = [one.name for one in ATTRIBUTES]
    assert cards["level"].defaults.as_pairs() == [(name, 1) for name in [*others, "size"]]
    assert cards["size"].defaults.as_pairs() == [(name, 1) for name in [*others, "level"]]


def test_methods_that_a_new_version_lacks_are_told() -> None:
    card = make_style_card("losing")
    generator = make_style_generator(card)
    model = save_directions(save_model(generator, card, make_heads()), make_directions(generator))
    smile = AttributeCard(name="smile", classes=("no", "little", "much"))
    wide = make_head(3, 0, math.prod(card.latent_shape))
    lost = lost_methods(model, store_trained(model, [TrainedAttribute(smile, wide, "")]))
    assert [one.partition(":")[0] for one in lost] == [
        "the new version has no gradctrl-released for smile, age, hair",
        "the new version has no gradctrl-paper for smile, age, hair",
        "the new version has no interfacegan for smile",
        "the new version has no stylespace for smile",
    ]
    assert "train without --spread" in lost[0]
    assert "gradctrl directions" in lost[2]
    assert lost_methods(model, model) == []


def test_shipped_heads_of_celeba_fit_their_cards() -> None:
    attributes, heads = shipped_heads("celeba")
    assert [a.name for a in attributes] == ["background", "gender", "smile", "age"]
    for attribute in attributes:
        assert heads[attribute.name].num_classes == len(attribute.classes)
        assert heads[attribute.name].hidden_weight.shape[1] == 100
    assert shipped_heads("digiface") == ((), {})
