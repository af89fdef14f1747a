"""export/sights.py: what readers get to see of images."""

from pathlib import Path

import numpy as np
import pytest

from export.face_networks import write_face_networks
from export.sights import Eyes, Sights, eyes_for
from model_store import FACES_FILE, StoredModel, save_model
from tests.doubles import make_style_card, make_style_generator

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)


def stored(name: str, files: dict[str, Path]) -> StoredModel:
    card = make_style_card(name).model_copy(update={"attributes": ()})
    return save_model(make_style_generator(card), card, {}, files)


def test_other_sizes_are_seen_at_64_pixels() -> None:
    large = np.repeat(np.repeat(IMAGES[:, :64, :64], 2, axis=1), 2, axis=2)
    seen = Eyes().see(large)
    np.testing.assert_array_equal(seen.pixels, IMAGES[:, :64, :64])
    assert seen.faces is None


def test_some_of_what_was_seen() -> None:
    seen = Sights(IMAGES[:, :64, :64], np.arange(6, dtype=np.float32).reshape(3, 2))
    some = seen.of(np.array([2, 0]))
    np.testing.assert_array_equal(some.pixels, IMAGES[[2, 0], :64, :64])
    assert some.faces is not None
    np.testing.assert_array_equal(some.faces, [[4, 5], [0, 1]])


def test_models_without_face_networks_are_seen_by_pixels(bentoml_home: Path) -> None:
    assert eyes_for(stored("faceless", {})).see(IMAGES).faces is None


def test_models_of_faces_are_seen_with_who_each_face_is(
    bentoml_home: Path, face_api_package: Path, tmp_path: Path
) -> None:
    networks = write_face_networks(face_api_package, tmp_path / FACES_FILE)
    found = eyes_for(stored("faced", {FACES_FILE: networks})).see(IMAGES)
    assert found.faces is not None
    assert found.faces.shape == (3, 128)
    assert found.faces.dtype == np.float32
    assert np.ptp(found.faces, axis=0).max() > 0


def test_faces_of_a_bank_are_recognised_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.sights._AT_ONCE", 2)
    told: list[tuple[int, int]] = []

    def recognise(images: np.ndarray) -> np.ndarray:
        return images[:, 0, 0].astype(np.float32)

    seen = Eyes(recognise).see(IMAGES, lambda done, total: told.append((done, total)))
    assert seen.pixels.shape == (3, 64, 64, 3)
    assert seen.faces is not None
    np.testing.assert_array_equal(seen.faces, IMAGES[:, 0, 0])
    assert told == [(2, 3), (3, 3)]
