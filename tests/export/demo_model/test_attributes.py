"""Names, and the correlations measured on drawn labels."""

import re

import numpy as np
import pytest

from export.demo_model.attributes import ATTRIBUTES, draw_classes, to_indices

SAMPLES = 6_000


@pytest.fixture(scope="module")
def drawn() -> list[dict[str, str]]:
    rng = np.random.default_rng(7)
    return [draw_classes(rng) for _ in range(SAMPLES)]


def share(drawn: list[dict[str, str]], name: str, value: str, **given: str) -> float:
    """How often an attribute has a value among the samples with other values."""
    chosen = [one for one in drawn if all(one[k] == v for k, v in given.items())]
    return sum(one[name] == value for one in chosen) / len(chosen)


def test_names_fit_a_model_card() -> None:
    names = [a.name for a in ATTRIBUTES] + [c for a in ATTRIBUTES for c in a.classes]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) for name in names)


def test_frequencies_are_distributions_over_known_parents() -> None:
    earlier: dict[str, tuple[str, ...]] = {}
    for attribute in ATTRIBUTES:
        for row in (attribute.frequencies, *(attribute.given or {}).values()):
            assert len(row) == len(attribute.classes)
            assert sum(row) == pytest.approx(1)
        if attribute.parent is not None:
            assert set(attribute.given or {}) <= set(earlier[attribute.parent])
        earlier[attribute.name] = attribute.classes


@pytest.mark.parametrize(
    ("value", "given", "expected"),
    [
        ("eyeglasses", {"hair_colour": "grey"}, 0.7),
        ("eyeglasses", {"hair_colour": "pink"}, 0.25),
        ("smiling", {"hair_length": "long"}, 0.7),
        ("smiling", {"hair_length": "short"}, 0.4),
        ("facial_hair", {"hair_length": "short"}, 0.5),
        ("facial_hair", {"hair_length": "long"}, 0.0),
    ],
)
def test_written_correlations_are_drawn(
    drawn: list[dict[str, str]], value: str, given: dict[str, str], expected: float
) -> None:
    name = next(a.name for a in ATTRIBUTES if value in a.classes)
    assert share(drawn, name, value, **given) == pytest.approx(expected, abs=0.05)


def test_the_rest_is_independent(drawn: list[dict[str, str]]) -> None:
    assert share(drawn, "skin_tone", "dark", background="mint") == pytest.approx(0.2, abs=0.05)
    assert share(drawn, "shirt_colour", "red", hair_colour="red") == pytest.approx(1 / 6, abs=0.05)


def test_indices_are_positions_in_the_classes(drawn: list[dict[str, str]]) -> None:
    indices = to_indices(drawn[0])
    assert {a.name: a.classes[indices[a.name]] for a in ATTRIBUTES} == drawn[0]
