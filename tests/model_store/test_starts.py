"""model_store/starts.py: class labels as the card allows them, one z per seed."""

import numpy as np
import pytest

from model_store import (
    PlanError,
    Starts,
    class_labels,
    latent_shape_in,
    start_latents,
    z_from_seed,
    z_of_seeds,
)
from tests.doubles import NUM_WS, make_card, make_generator, make_style_card

PLAIN = make_style_card()
CONDITIONAL = make_style_card("tiny-cond", 3)


def test_a_class_is_one_hot_and_numbers_are_kept() -> None:
    assert class_labels(CONDITIONAL, 1).tolist() == [[0, 1, 0]]  # type: ignore[union-attr]
    assert class_labels(CONDITIONAL, [0.5, 0, 0.25]).tolist() == [[0.5, 0, 0.25]]  # type: ignore[union-attr]
    assert class_labels(PLAIN, None) is None
    assert class_labels(CONDITIONAL, None, is_needed=False) is None


@pytest.mark.parametrize(
    "given", [None, 3, -1, True, 1.0, "1", [1, 0], [0, 0, float("nan")], [0, 0, 1e9], [0, 0, True]]
)
def test_labels_that_do_not_fit(given: object) -> None:
    with pytest.raises(PlanError, match=r"a class 0\.\.2 or 3 numbers, got") as caught:
        class_labels(CONDITIONAL, given)
    assert (caught.value.code, caught.value.field) == ("bad_request", "class_label")
    assert caught.value.allowed == [0, 2]


def test_a_model_without_classes_takes_no_label() -> None:
    with pytest.raises(PlanError, match="'tiny-style' has no classes") as caught:
        class_labels(PLAIN, 0, is_needed=False)
    assert caught.value.allowed == []


def test_shapes_of_latents_by_space() -> None:
    assert latent_shape_in(PLAIN, "z") == latent_shape_in(PLAIN, "w") == (1, 16)
    assert latent_shape_in(PLAIN, "w_plus") == (NUM_WS, 16)
    assert latent_shape_in(make_card(), "z") == (1, 16)


def test_z_is_mapped_and_latents_are_kept() -> None:
    z = z_of_seeds(make_card(), [4, 9])
    np.testing.assert_array_equal(z[1], z_from_seed(9, 16))
    mapped = start_latents(make_generator(), Starts(z=z, truncation=0.5)).numpy()
    np.testing.assert_array_equal(mapped[:, 0], z / 2)
    kept = start_latents(make_generator(), Starts(latents=mapped)).numpy()
    np.testing.assert_array_equal(kept, mapped)
