"""export/reading.py: thirty labelled images per class teach the rest."""

import numpy as np
import pytest

from export.errors import LabelError
from export.reading import FaceView, Window, fit_reader
from export.sights import Eyes, Sights

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 400)


def sights() -> Sights:
    return Eyes().see(pictures())


def pictures() -> np.ndarray:
    """Noise, in which only a patch of 16 px at row 8, column 40 shows the class."""
    images = RNG.normal(120, 40, (400, 64, 64, 3))
    colours = np.array([[60, 0, 0], [0, 60, 0], [0, 0, 60]])
    images[:, 8:24, 40:56] += colours[LABELS][:, None, None]
    return images.clip(0, 255).astype(np.uint8)


def test_the_window_that_shows_the_class_is_found_and_read() -> None:
    images = sights()
    chosen = np.concatenate([np.flatnonzero(k == LABELS)[:30] for k in range(3)])
    reader = fit_reader(images, chosen, LABELS[chosen])
    assert reader.view == Window(1, 5, 2)
    probabilities = reader.probabilities(images)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    others = np.setdiff1d(np.arange(400), chosen)
    assert (probabilities[others].argmax(axis=1) == LABELS[others]).mean() > 0.97
    assert reader.cross_validated > 0.9


def test_many_labels_cost_no_longer_search_for_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[np.ndarray] = []

    def spy(few: Sights, labels: np.ndarray, seed: int) -> object:
        searched.append(np.bincount(labels))
        assert len(few.pixels) == len(labels)
        return Window(1, 5, 2), 1.0

    monkeypatch.setattr("export.reading._best_view", spy)
    chosen = np.arange(300)
    reader = fit_reader(sights(), chosen, LABELS[chosen])
    np.testing.assert_array_equal(searched, [[50, 50, 50]])
    others = np.arange(300, 400)
    found = reader.probabilities(sights())[others].argmax(axis=1)
    assert (found == LABELS[others]).mean() > 0.97


def faces(shift: float) -> np.ndarray:
    """Descriptors that differ by class in three of 128 numbers, by so many standard deviations."""
    found = RNG.normal(0, 1, (400, 128))
    found[np.arange(400), LABELS] += shift
    return found.astype(np.float32)


def test_who_a_face_is_is_read_where_it_tells_more_than_any_window() -> None:
    chosen = np.concatenate([np.flatnonzero(k == LABELS)[:30] for k in range(3)])
    noise = RNG.integers(0, 256, (400, 64, 64, 3), dtype=np.uint8)
    known = Sights(noise, faces(4.0))
    before = known.faces
    assert before is not None
    kept = before.copy()
    reader = fit_reader(known, chosen, LABELS[chosen])
    assert reader.view == FaceView()
    others = np.setdiff1d(np.arange(400), chosen)
    assert (reader.probabilities(known)[others].argmax(axis=1) == LABELS[others]).mean() > 0.9
    np.testing.assert_array_equal(before, kept)  # the next reader looks at the same ones


def test_the_window_is_kept_where_faces_tell_less() -> None:
    chosen = np.concatenate([np.flatnonzero(k == LABELS)[:30] for k in range(3)])
    known = Sights(pictures(), faces(0.0))
    assert fit_reader(known, chosen, LABELS[chosen]).view == Window(1, 5, 2)


def test_too_few_labels_are_refused() -> None:
    chosen = np.concatenate([np.flatnonzero(k == LABELS)[:4] for k in range(3)])
    with pytest.raises(LabelError, match="5 labelled samples of every class"):
        fit_reader(sights(), chosen, LABELS[chosen])
