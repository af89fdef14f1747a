"""Similarities, crops and pasting back."""

import numpy as np
import pytest

from model_store import CELEBA_TEMPLATE, Face, PhotoError, Placement, crop, paste_back, place_face
from model_store.photos import fit_photo
from model_store.photos.alignment import similarity

TEMPLATE = np.array(CELEBA_TEMPLATE)


def face_at(placement: np.ndarray) -> Face:
    points = TEMPLATE @ placement[:, :2].T + placement[:, 2]
    return Face((0, 0, 1, 1), 0.9, points)


def turned(side: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    angle = np.deg2rad(degrees)
    turn = side * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([turn, np.array(shift)[:, None]], axis=1)


def gradient(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows, columns, (rows + columns) // 2], axis=2).astype(np.uint8)


@pytest.mark.parametrize("degrees", [0, 30, -120])
def test_points_give_back_the_similarity(degrees: float) -> None:
    wanted = turned(50, degrees, (20, 30))
    assert np.allclose(similarity(TEMPLATE, face_at(wanted).points), wanted)


def test_none_and_several_faces_are_refused() -> None:
    face = face_at(turned(50, 0, (0, 0)))
    with pytest.raises(PhotoError) as none:
        place_face([], CELEBA_TEMPLATE)
    with pytest.raises(PhotoError) as several:
        place_face([face, face], CELEBA_TEMPLATE)
    assert (none.value.code, several.value.code) == ("no_face", "several_faces")
    assert several.value.allowed == [[0, 0, 1, 1]] * 2


def test_a_crop_shows_what_lies_there() -> None:
    photo = gradient(200, 200)
    cut = crop(photo, Placement(turned(64, 0, (40, 60))), 64)
    assert np.abs(cut.astype(int) - photo[60:124, 40:104]).max() <= 1


def test_a_crop_of_a_large_area_is_averaged() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    cut = crop(noise, Placement(turned(1024, 0, (0, 0))), 32)
    assert cut.std() < noise.std() / 10


def test_a_crop_beyond_the_border_repeats_it() -> None:
    cut = crop(np.full((50, 50, 3), 9, np.uint8), Placement(turned(100, 20, (-40, -40))), 32)
    assert (cut == 9).all()


def test_pasting_back_what_was_cut_changes_little() -> None:
    photo = gradient(160, 120)
    placement = Placement(turned(80, 15, (30, 30)))
    pasted = paste_back(photo, crop(photo, placement, 64), placement)
    assert pasted.shape == photo.shape
    assert np.abs(pasted.astype(int) - photo).max() <= 4


def test_the_border_of_a_paste_is_soft() -> None:
    photo = np.zeros((100, 100, 3), np.uint8)
    pasted = paste_back(
        photo, np.full((64, 64, 3), 255, np.uint8), Placement(turned(60, 0, (20, 20)))
    )
    row = pasted[50, :, 0].astype(int)
    assert row[:18].max() == 0
    assert row[45] == 255
    assert np.abs(np.diff(row)).max() < 120


def test_a_photo_is_fitted_only_where_it_is_larger() -> None:
    fitted, factor = fit_photo(gradient(200, 100), 50)
    assert (fitted.shape, factor) == ((50, 25, 3), 0.25)
    same, one = fit_photo(gradient(20, 10), 50)
    assert (same.shape, one) == ((20, 10, 3), 1.0)
