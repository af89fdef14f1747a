"""Measures tell a good set of samples from a bad one."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("python_avatars", reason="extra demo-model")
pytest.importorskip("resvg_py", reason="extra demo-model")

from export.demo_model.attributes import ATTRIBUTES
from export.demo_model.avatar_networks import GENERATOR_SIZES, as_generator, fresh_generator
from export.demo_model.dataset import HELD_OUT, TRAIN, Split, make_split, open_split
from export.demo_model.judge import Judge, Judgement
from export.demo_model.measures import (
    as_table,
    measure,
    measure_attributes,
    measure_correlations,
    measure_neighbours,
)

SAMPLES = 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("avatars")
    for split in (TRAIN, HELD_OUT):
        make_split(made, split, SAMPLES, processes=1)
    return made


@pytest.fixture(scope="module")
def held_out(folder: Path) -> Split:
    return open_split(folder, HELD_OUT)


def judged(labels: dict[str, np.ndarray]) -> Judgement:
    """A judgement that is sure of these labels."""
    logits = {a.name: np.eye(len(a.classes))[labels[a.name]] * 20 for a in ATTRIBUTES}
    return Judgement(logits, np.zeros((SAMPLES, 2)))


def test_the_same_labels_have_no_variation(held_out: Split) -> None:
    measured = measure_attributes(judged(held_out.labels), held_out.labels)
    assert all(one.total_variation == 0 for one in measured.values())
    assert all(one.mean_confidence > 0.99 for one in measured.values())


def test_one_missing_class_is_its_share(held_out: Split) -> None:
    labels = dict(held_out.labels)
    labels["smile"] = np.zeros_like(labels["smile"])
    measured = measure_attributes(judged(labels), held_out.labels)
    smiling = float(held_out.labels["smile"].mean())
    assert measured["smile"].total_variation == pytest.approx(smiling)
    assert measured["smile"].held_out_frequencies["smiling"] == pytest.approx(smiling)


def test_correlations_are_shares_given_the_parent(held_out: Split) -> None:
    shares = measure_correlations(held_out.labels, held_out.labels)
    mine, wanted = shares["facial_hair | long"]
    assert mine == wanted == 0
    assert shares["eyeglasses | grey"][0] > shares["eyeglasses | black"][0]


def test_copies_are_nearer_than_held_out_images(folder: Path, held_out: Split) -> None:
    train = open_split(folder, TRAIN).images
    copied = measure_neighbours(train[:20], held_out.images, train)
    assert copied.samples_median < 1 < copied.held_out_median
    fair = measure_neighbours(held_out.images, held_out.images, train)
    assert fair.samples_median == fair.held_out_median


def test_an_untrained_generator_is_far_off(folder: Path) -> None:
    generator = as_generator(fresh_generator(GENERATOR_SIZES, 0))
    measures = measure(generator, Judge(), folder, samples=64)
    assert measures.frechet > 3 * measures.frechet_real
    assert max(one.total_variation for one in measures.attributes.values()) > 0.3
    table = as_table(measures)
    assert "hair_colour" in table
    assert "eyeglasses | grey" in table
