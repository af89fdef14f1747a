"""Attributes of the avatars: names, classes, and how often which go together.

The correlations are put in on purpose, as photographs of faces have them: an edit that follows
eyeglasses should meet grey hair on its way. Knows nothing about images.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Attribute:
    """One attribute; its frequencies may depend on the class of one other attribute."""

    name: str
    classes: tuple[str, ...]
    frequencies: tuple[float, ...]  # [K]
    parent: str | None = None  # stands earlier in ATTRIBUTES
    given: Mapping[str, tuple[float, ...]] | None = None  # class of the parent -> [K]

    def frequencies_given(self, parent_class: str | None) -> tuple[float, ...]:
        """Class frequencies [K] for a class of the parent."""
        if self.given is None or parent_class is None:
            return self.frequencies
        return self.given.get(parent_class, self.frequencies)


def _uniform(count: int) -> tuple[float, ...]:
    return (1 / count,) * count


_SHIRT_COLOURS = ("black", "white", "red", "blue", "green", "yellow")

# In drawing order: a parent is drawn before what depends on it.
ATTRIBUTES = (
    Attribute("hair_length", ("short", "long"), (0.5, 0.5)),
    Attribute(
        "hair_colour",
        ("black", "brown", "blonde", "red", "grey", "pink"),
        (0.17, 0.17, 0.17, 0.16, 0.17, 0.16),
    ),
    # Grey hair: 70 % wear eyeglasses; everybody else: 25 %.
    Attribute(
        "eyeglasses",
        ("no_eyeglasses", "eyeglasses"),
        (0.75, 0.25),
        parent="hair_colour",
        given={"grey": (0.3, 0.7)},
    ),
    # Long hair: 70 % smile; short hair: 40 %.
    Attribute(
        "smile",
        ("not_smiling", "smiling"),
        (0.6, 0.4),
        parent="hair_length",
        given={"long": (0.3, 0.7)},
    ),
    # Beards only with short hair, where half have one.
    Attribute(
        "facial_hair",
        ("no_facial_hair", "facial_hair"),
        (0.5, 0.5),
        parent="hair_length",
        given={"long": (1.0, 0.0)},
    ),
    Attribute("skin_tone", ("pale", "light", "tan", "brown", "dark"), _uniform(5)),
    Attribute("shirt_colour", _SHIRT_COLOURS, _uniform(len(_SHIRT_COLOURS))),
    Attribute("background", ("sky", "mint", "lemon", "lilac", "slate"), _uniform(5)),
)
NAMES = tuple(attribute.name for attribute in ATTRIBUTES)
NUM_CLASSES = {attribute.name: len(attribute.classes) for attribute in ATTRIBUTES}


def draw_classes(rng: np.random.Generator) -> dict[str, str]:
    """One class per attribute, with the correlations."""
    drawn: dict[str, str] = {}
    for attribute in ATTRIBUTES:
        parent_class = drawn[attribute.parent] if attribute.parent else None
        frequencies = attribute.frequencies_given(parent_class)
        drawn[attribute.name] = attribute.classes[rng.choice(len(frequencies), p=frequencies)]
    return drawn


def to_indices(drawn: Mapping[str, str]) -> dict[str, int]:
    """Class indices of class names."""
    return {a.name: a.classes.index(drawn[a.name]) for a in ATTRIBUTES}
