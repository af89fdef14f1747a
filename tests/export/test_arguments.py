"""export/arguments.py."""

from pathlib import Path

import pytest

from export.arguments import (
    expect_image_file,
    parse_exclude,
    parse_layers,
    parse_names,
    parse_seeds,
)
from export.errors import ExportError


def test_notations() -> None:
    assert parse_seeds("0-3,9") == [0, 1, 2, 3, 9]
    assert parse_exclude("age:10, smile:5") == [("age", 10), ("smile", 5)]
    assert parse_exclude("") == []
    assert parse_layers("2:10") == (2, 10)
    assert parse_names("b", ["a", "b"]) == ["b"]
    assert parse_names("", ["a", "b"]) == ["a", "b"]


@pytest.mark.parametrize("text", ["", "x", "3-1", "0-9999999", "4294967296"])
def test_bad_seeds(text: str) -> None:
    with pytest.raises(ExportError, match="seeds"):
        parse_seeds(text)


def test_too_many_seeds_are_told_from_bad_ones() -> None:
    assert len(parse_seeds("0-99999")) == 100_000
    for text in ("0-100000", "0-99999,5"):
        with pytest.raises(ExportError, match="at most 100,000 at once, got 100,001"):
            parse_seeds(text)


def test_an_image_file_has_a_suffix_and_is_no_folder(tmp_path: Path) -> None:
    expect_image_file(tmp_path / "new" / "strip.PNG")
    (tmp_path / "folder.png").mkdir()
    for name in ("folder.png", "strip", "strip.txt", "strip.psd"):  # Pillow only reads the last
        with pytest.raises(ExportError, match=r"expected an image file such as strip\.png"):
            expect_image_file(tmp_path / name)


def test_bad_pairs_and_ranges() -> None:
    with pytest.raises(ExportError, match="attribute:top_k"):
        parse_exclude("age=10")
    with pytest.raises(ExportError, match="not labelled"):
        parse_names("c", ["a", "b"])
    with pytest.raises(ExportError, match="half-open"):
        parse_layers("2-10")
