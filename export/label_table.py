"""Labels by people: a CSV file `sample,<attribute>,...` with a class name or nothing in each cell.

What could mean two things is refused, with its line. Knows nothing about images or files of banks.
"""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from export.errors import LabelError
from export.labels import AttributeLabels, certain_scores
from model_store import NAME_PATTERN

SAMPLE_COLUMN = "sample"  # the index in the bank, which counts from 0


def read_csv(path: Path, samples: int) -> dict[str, AttributeLabels]:
    """Labels by attribute for so many samples, classes in the order of their names."""
    header, *rows = _read_rows(path) or [(1, [])]
    columns = _expect_columns(path, header[1])
    labelled: dict[str, dict[int, str]] = {name: {} for name in columns if name != SAMPLE_COLUMN}
    for line, cells in rows:
        where = f"{path}, line {line}"
        if len(cells) != len(columns):
            raise LabelError(f"{where}: expected {len(columns)} cells, got {len(cells)}")
        row = dict(zip(columns, cells, strict=True))
        sample = _index(where, row.pop(SAMPLE_COLUMN), samples)
        for name, cell in row.items():
            if cell:
                _add(where, name, labelled[name], sample, cell)
    return {name: _labels(path, name, found, samples) for name, found in labelled.items()}


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Rows that are not empty, stripped, with the line on which each ends."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # Excel writes a mark first
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: not a CSV file: {error}") from error
    return [(line, cells) for line, cells in rows if any(cells)]


def _expect_columns(path: Path, columns: list[str]) -> list[str]:
    if SAMPLE_COLUMN not in columns or len(columns) < 2:
        raise LabelError(f"{path}: expected columns sample,<attribute>,..., got {columns}")
    for index, name in enumerate(columns):
        where = f"{path}, line 1"
        if name in columns[:index]:
            raise LabelError(f"{where}: two columns are named {name!r}")
        _expect_name(where, f"the name of column {index + 1}", name)
    return columns


def _expect_name(where: str, what: str, text: str) -> None:
    if not re.fullmatch(NAME_PATTERN, text):
        raise LabelError(f"{where}: expected as {what} up to 64 of a-z, 0-9, _ and -, got {text!r}")


def _index(where: str, text: str, samples: int) -> int:
    if text.isascii() and text.isdigit() and int(text) < samples:
        return int(text)
    raise LabelError(f"{where}: sample {text!r} is not a whole number within 0..{samples - 1}")


def _add(where: str, name: str, found: dict[int, str], sample: int, cell: str) -> None:
    _expect_name(where, f"a class of {name}", cell)
    if found.setdefault(sample, cell) != cell:
        raise LabelError(
            f"{where}: {name} of sample {sample} is {cell!r}, but {found[sample]!r} further up"
        )


def _labels(path: Path, name: str, found: Mapping[int, str], samples: int) -> AttributeLabels:
    classes = sorted(set(found.values()))
    if not classes:
        raise LabelError(f"{path}: {name} has no label")
    labels = np.full(samples, -1)
    for sample, cell in found.items():
        labels[sample] = classes.index(cell)
    scores = certain_scores(labels, len(classes))
    return AttributeLabels(tuple(classes), f"people, {path.name}", scores)
