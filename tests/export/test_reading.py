"""export/reading.py: thirty labelled images per class teach the rest."""

import numpy as np
import pytest

from export.errors import LabelError
from export.reading import Window, fit_reader, small_images

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 400)


def pictures() -> np.ndarray:
    """Noise, in which only a patch of 16 px at row 8, column 40 shows the class."""
    images = RNG.normal(120, 40, (400, 64, 64, 3))
    colours = np.array([[60, 0, 0], [0, 60, 0], [0, 0, 60]])
    images[:, 8:24, 40:56] += colours[LABELS][:, None, None]
    return images.clip(0, 255).astype(np.uint8)


def test_the_window_that_shows_the_class_is_found_and_read() -> None:
    images = pictures()
    chosen = np.concatenate([np.flatnonzero(k == LABELS)[:30] for k in range(3)])
    reader = fit_reader(images, chosen, LABELS[chosen])
    assert reader.window == Window(1, 5, 2)
    probabilities = reader.probabilities(images)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    others = np.setdiff1d(np.arange(400), chosen)
    assert (probabilities[others].argmax(axis=1) == LABELS[others]).mean() > 0.97
    assert reader.cross_validated > 0.9


def test_many_labels_cost_no_longer_search_for_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[np.ndarray] = []

    def spy(images: np.ndarray, chosen: np.ndarray, labels: np.ndarray, seed: int) -> object:
        searched.append(np.bincount(labels))
        np.testing.assert_array_equal(LABELS[chosen], labels)
        return Window(1, 5, 2), 1.0

    monkeypatch.setattr("export.reading._best_window", spy)
    chosen = np.arange(300)
    reader = fit_reader(pictures(), chosen, LABELS[chosen])
    np.testing.assert_array_equal(searched, [[50, 50, 50]])
    others = np.arange(300, 400)
    found = reader.probabilities(pictures())[others].argmax(axis=1)
    assert (found == LABELS[others]).mean() > 0.97


def test_other_sizes_are_read_at_64_pixels() -> None:
    large = np.repeat(np.repeat(pictures()[:2], 2, axis=1), 2, axis=2)
    np.testing.assert_array_equal(small_images(large), large[:, ::2, ::2])


def test_too_few_labels_are_refused() -> None:
    chosen = np.concatenate([np.flatnonzero(k == LABELS)[:4] for k in range(3)])
    with pytest.raises(LabelError, match="5 labelled samples of every class"):
        fit_reader(pictures(), chosen, LABELS[chosen])
