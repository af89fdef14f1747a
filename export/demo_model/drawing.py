"""Draws one avatar from named classes: SVG parts, colours, and what varies without a label.

The only file that knows the packages `python_avatars` and `resvg_py`, which the extra
`demo-model` installs. Knows nothing about frequencies, splits or files.
"""

import io
from collections.abc import Mapping

import numpy as np
import python_avatars as parts  # type: ignore[import-untyped, import-not-found, unused-ignore]
import resvg_py  # type: ignore[import-not-found, unused-ignore]
from PIL import Image

_CANVAS = 'width="264px" height="280px" viewBox="0 0 264 280"'
_CROP = (31.0, 24.0, 202.0)  # left, top, side: head, hair and shoulders, in SVG units
_SHIFT = 3.0  # SVG units, about one pixel at 64 px
_COLOUR_JITTER = 7  # levels of 255, the same for red, green and blue

HAIR_TYPES = {
    "short": ("SHORT_FLAT", "SHORT_WAVED", "SHORT_CURLY", "SHORT_ROUND"),
    "long": ("STRAIGHT_1", "STRAIGHT_STRAND", "BOB", "CURLY"),
}
EYEBROW_TYPES = ("DEFAULT_NATURAL", "RAISED_EXCITED_NATURAL")
COLOURS = {
    "hair_colour": {
        "black": "#221a1a",
        "brown": "#7d4a2b",
        "blonde": "#e3bf6b",
        "red": "#c93a10",
        "grey": "#b9bcc2",
        "pink": "#f58fb0",
    },
    "skin_tone": {
        "pale": "#ffdfc4",
        "light": "#edb98a",
        "tan": "#cf8c5a",
        "brown": "#a8622f",
        "dark": "#6f4838",
    },
    "shirt_colour": {
        "black": "#262e33",
        "white": "#f6f6f6",
        "red": "#e5484d",
        "blue": "#2f6fd0",
        "green": "#2f9e62",
        "yellow": "#f4cf3f",
    },
    "background": {
        "sky": "#a9dcff",
        "mint": "#b4ecc6",
        "lemon": "#fff2a0",
        "lilac": "#d6c4f4",
        "slate": "#5f6f83",
    },
}


def draw_avatar(
    drawn: Mapping[str, str],  # attribute -> class
    rng: np.random.Generator,
    side: int,  # pixels
) -> np.ndarray:  # [H, W, 3], uint8, RGB
    """The avatar of these classes; `rng` chooses hair style, eyebrows, shift and shades."""
    shades = {name: _shade(values[drawn[name]], rng) for name, values in COLOURS.items()}
    hair_types = HAIR_TYPES[drawn["hair_length"]]
    avatar = parts.Avatar(
        style=parts.AvatarStyle.TRANSPARENT,
        top=parts.HairType[hair_types[rng.integers(len(hair_types))]],
        eyebrows=parts.EyebrowType[EYEBROW_TYPES[rng.integers(len(EYEBROW_TYPES))]],
        eyes=parts.EyeType.DEFAULT,
        nose=parts.NoseType.DEFAULT,
        mouth=parts.MouthType[{"smiling": "SMILE", "not_smiling": "SERIOUS"}[drawn["smile"]]],
        facial_hair=parts.FacialHairType[
            {"facial_hair": "BEARD_MEDIUM", "no_facial_hair": "NONE"}[drawn["facial_hair"]]
        ],
        accessory=parts.AccessoryType[
            {"eyeglasses": "PRESCRIPTION_2", "no_eyeglasses": "NONE"}[drawn["eyeglasses"]]
        ],
        clothing=parts.ClothingType.SHIRT_CREW_NECK,
        skin_color=shades["skin_tone"],
        hair_color=shades["hair_colour"],
        facial_hair_color=shades["hair_colour"],
        clothing_color=shades["shirt_colour"],
    )
    return _rasterise(avatar.render(), shades["background"], rng.uniform(-_SHIFT, _SHIFT, 2), side)


def _shade(colour: str, rng: np.random.Generator) -> str:
    change = rng.integers(-_COLOUR_JITTER, _COLOUR_JITTER + 1)
    levels = np.clip(np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) + change, 0, 255)
    return "#" + "".join(f"{level:02x}" for level in levels)


def _rasterise(svg: str, background: str, shift: np.ndarray, side: int) -> np.ndarray:
    left, top, extent = _CROP
    window = f"{left + shift[0]:.2f} {top + shift[1]:.2f} {extent:.2f} {extent:.2f}"
    cropped = svg.replace(_CANVAS, f'width="{side}px" height="{side}px" viewBox="{window}"', 1)
    png = resvg_py.svg_to_bytes(svg_string=cropped, background=background, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))
