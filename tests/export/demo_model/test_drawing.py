"""Pixels agree with labels: changing one class changes its part of the image."""

import numpy as np
import pytest

pytest.importorskip("python_avatars", reason="extra demo-model")
pytest.importorskip("resvg_py", reason="extra demo-model")

from export.demo_model.attributes import ATTRIBUTES
from export.demo_model.drawing import COLOURS, draw_avatar

SIDE = 64
BASE = {
    "hair_length": "short",
    "hair_colour": "black",
    "eyeglasses": "no_eyeglasses",
    "smile": "not_smiling",
    "facial_hair": "no_facial_hair",
    "skin_tone": "pale",
    "shirt_colour": "red",
    "background": "sky",
}
# Rows and columns that show nothing else.
PLACES = {
    "background": (slice(0, 20), slice(0, 4)),
    "shirt_colour": (slice(60, 63), slice(14, 20)),
    "skin_tone": (slice(32, 36), slice(25, 27)),
    "hair_colour": (slice(5, 7), slice(30, 34)),
}
LEVELS = 9  # shades vary by 7, edges are softened


def draw(**changes: str) -> np.ndarray:
    return draw_avatar({**BASE, **changes}, np.random.default_rng(3), SIDE)


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


@pytest.mark.parametrize("name", PLACES)
def test_colours_are_where_they_belong(name: str) -> None:
    for value, colour in COLOURS[name].items():
        patch = draw(**{name: value})[PLACES[name]].reshape(-1, 3)
        assert np.abs(np.median(patch, axis=0) - rgb(colour)).max() <= LEVELS, value


def test_every_colour_class_has_a_colour() -> None:
    for attribute in ATTRIBUTES:
        if attribute.name in COLOURS:
            assert tuple(COLOURS[attribute.name]) == attribute.classes


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"eyeglasses": "eyeglasses"}, slice(18, 38)),
        ({"smile": "smiling"}, slice(34, 50)),
        ({"facial_hair": "facial_hair"}, slice(20, 58)),
    ],
)
def test_parts_change_their_place_alone(change: dict[str, str], rows: slice) -> None:
    different = (draw() != draw(**change)).any(axis=(1, 2))
    assert different[rows].any()
    different[rows] = False
    assert not different.any()


def test_long_hair_covers_more() -> None:
    dark_short, dark_long = (
        (draw(hair_length=length).sum(axis=2) < 120).sum() for length in ("short", "long")
    )
    assert dark_long > 1.5 * dark_short
