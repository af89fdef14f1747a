"""Image scores of a bank: `labels.npz` with one array per attribute, `labels.json` beside it.

A score array is [N, K] logits in the order of the attribute's classes; the label is the largest.
NaN rows are samples that nobody labelled. Knows nothing about who labels.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from export.errors import LabelError

LABELS_FILE = "labels.npz"
DESCRIPTION_FILE = "labels.json"


@dataclass(frozen=True)
class AttributeLabels:
    """Scores of one attribute over a bank."""

    classes: tuple[str, ...]
    labelled_by: str
    scores: np.ndarray  # [N, K], float32, logits
    notes: str = ""

    def labels(self) -> np.ndarray:
        """Class index per sample [N], int64; -1 where there is no label."""
        known = ~np.isnan(self.scores).any(axis=1)
        return np.where(known, np.nan_to_num(self.scores).argmax(axis=1), -1)

    def confidence(self) -> np.ndarray:
        """How far [N] the label is from the next class, in logits; NaN without a label."""
        ordered = np.sort(self.scores, axis=1)
        return ordered[:, -1] - ordered[:, -2]

    def padded(self, samples: int) -> "AttributeLabels":
        """The same for so many samples, of which those beyond these have no label."""
        missing = ((0, samples - len(self.scores)), (0, 0))
        return replace(self, scores=np.pad(self.scores, missing, constant_values=np.nan))


def binary_scores(positive: np.ndarray) -> np.ndarray:
    """Scores [N, 2] of one logit [N] that is positive for the second class."""
    return np.stack([np.zeros_like(positive), positive], axis=1).astype(np.float32)


def save_labels(folder: Path, labels: Mapping[str, AttributeLabels]) -> None:
    """Write labels into a bank folder, beside those that are there already."""
    merged = {**read_labels(folder), **labels} if (folder / LABELS_FILE).exists() else labels
    arrays: dict[str, Any] = {name: one.scores for name, one in merged.items()}
    np.savez(folder / LABELS_FILE, **arrays)
    described = {
        name: {key: value for key, value in asdict(one).items() if key != "scores"}
        for name, one in merged.items()
    }
    (folder / DESCRIPTION_FILE).write_text(json.dumps(described, indent=2))


def read_labels(folder: Path) -> dict[str, AttributeLabels]:
    """Labels of a bank folder; LabelError if there are none."""
    try:
        described = json.loads((folder / DESCRIPTION_FILE).read_text())
        with np.load(folder / LABELS_FILE) as scores:
            return {
                name: AttributeLabels(
                    classes=tuple(entry["classes"]),
                    labelled_by=entry["labelled_by"],
                    scores=scores[name],
                    notes=entry["notes"],
                )
                for name, entry in described.items()
            }
    except (OSError, KeyError, ValueError) as error:
        raise LabelError(f"{folder}: no usable labels ({error}); run: gradctrl label") from error


def read_csv(path: Path, samples: int) -> dict[str, AttributeLabels]:
    """Labels by people: a header `sample,<attribute>,...`, class names or empty cells below.

    Classes are ordered as they first appear when sorted by name.
    """
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = list(reader.fieldnames or [])
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: not a CSV file: {error}") from error
    if "sample" not in columns or len(columns) < 2:
        raise LabelError(f"{path}: expected columns sample,<attribute>,..., got {columns}")
    indices = [_index(path, line, row["sample"], samples) for line, row in enumerate(rows, 2)]
    return {
        name: _from_column(path, name, indices, [row[name] or "" for row in rows], samples)
        for name in columns
        if name != "sample"
    }


def _index(path: Path, line: int, text: str, samples: int) -> int:
    if text.isdigit() and int(text) < samples:
        return int(text)
    raise LabelError(f"{path}, line {line}: sample {text!r} is not within 0..{samples - 1}")


def _from_column(
    path: Path, name: str, indices: Sequence[int], cells: Sequence[str], samples: int
) -> AttributeLabels:
    classes = sorted({cell.strip() for cell in cells} - {""})
    if len(classes) < 2:
        raise LabelError(f"{path}: {name} needs at least two classes, got {classes}")
    scores = np.full((samples, len(classes)), np.nan, dtype=np.float32)
    for index, cell in zip(indices, cells, strict=True):
        if cell.strip():
            scores[index] = 0.0
            scores[index, classes.index(cell.strip())] = 1.0
    return AttributeLabels(tuple(classes), f"people, {path.name}", scores)
