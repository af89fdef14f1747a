"""Image scores of a bank: `labels.npz` with one array per attribute, `labels.json` beside it.

A score array is [N, K] logits in the order of the attribute's classes; the label is the largest.
NaN rows are samples that nobody labelled. Knows nothing about who labels.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from export.errors import LabelError
from model_store import AttributeCard

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

    def names(self) -> np.ndarray:
        """Class name per sample [N]; empty where there is no label."""
        return np.array([*self.classes, ""])[self.labels()]

    def confidence(self) -> np.ndarray:
        """How far [N] the label is from the next class, in logits; NaN without a label."""
        ordered = np.sort(self.scores, axis=1)
        return ordered[:, -1] - ordered[:, -2]

    def padded(self, samples: int) -> "AttributeLabels":
        """The same for so many samples, of which those beyond these have no label."""
        missing = ((0, samples - len(self.scores)), (0, 0))
        return replace(self, scores=np.pad(self.scores, missing, constant_values=np.nan))

    def over(self, classes: Sequence[str]) -> "AttributeLabels":
        """The same labels over these classes, in this order: its own and maybe others."""
        scores = np.full((len(self.scores), len(classes)), -np.inf, dtype=np.float32)
        scores[:, [classes.index(name) for name in self.classes]] = self.scores
        return replace(self, classes=tuple(classes), scores=scores)

    def updated(self, later: "AttributeLabels") -> "AttributeLabels":
        """With later labels, which replace those of the same samples, over the classes of both."""
        classes = tuple(dict.fromkeys([*self.classes, *later.classes]))
        given = later.labels() >= 0
        if not ((self.labels() >= 0) & ~given).any():
            return later.over(classes)
        scores = np.where(given[:, None], later.over(classes).scores, self.over(classes).scores)
        sources = dict.fromkeys([*self.labelled_by.split("; "), later.labelled_by])
        return AttributeLabels(classes, "; ".join(sources), scores, self.notes)


def binary_scores(positive: np.ndarray) -> np.ndarray:
    """Scores [N, 2] of one logit [N] that is positive for the second class."""
    return np.stack([np.zeros_like(positive), positive], axis=1).astype(np.float32)


def certain_scores(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Scores [N, K] of class indices [N], -1 for none: surer than those of any classifier."""
    scores = np.where(np.arange(num_classes) == labels[:, None], 0.0, -np.inf)
    scores[labels < 0] = np.nan
    return scores.astype(np.float32)


def save_labels(folder: Path, labels: Mapping[str, AttributeLabels]) -> None:
    """Make these the labels of a bank folder; where that fails those before are kept."""
    described = {
        name: {key: value for key, value in asdict(one).items() if key != "scores"}
        for name, one in labels.items()
    }
    files = [folder / LABELS_FILE, folder / DESCRIPTION_FILE]
    unfinished = [path.with_name(f"{path.name}.part") for path in files]
    try:
        with ZipFile(unfinished[0], "w") as archive:  # np.savez takes no array named "file"
            for name, one in labels.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, one.scores, allow_pickle=False)
        unfinished[1].write_text(json.dumps(described, indent=2))
        for path, final in zip(unfinished, files, strict=True):
            os.replace(path, final)
    except OSError as error:
        for path in unfinished:
            path.unlink(missing_ok=True)
        raise LabelError(f"{folder}: labels cannot be written: {error}") from error


def read_labels(
    folder: Path, attributes: Iterable[AttributeCard] = ()
) -> dict[str, AttributeLabels]:
    """Labels of a bank folder; LabelError if there are none.

    Classes are ordered as those of the given attributes, where both have the same.
    """
    try:
        described = json.loads((folder / DESCRIPTION_FILE).read_text())
        with np.load(folder / LABELS_FILE) as scores:
            found = {
                name: AttributeLabels(
                    classes=tuple(entry["classes"]),
                    labelled_by=entry["labelled_by"],
                    scores=scores[name],
                    notes=entry["notes"],
                )
                for name, entry in described.items()
            }
    except (
        AttributeError,
        BadZipFile,
        EOFError,
        KeyError,
        OSError,
        TypeError,
        ValueError,
    ) as error:
        raise LabelError(f"{folder}: no usable labels ({error}); run: gradctrl label") from error
    order = {one.name: one.classes for one in attributes}
    return {
        name: one.over(order[name]) if sorted(order.get(name, ())) == sorted(one.classes) else one
        for name, one in found.items()
    }


def remove_labels(folder: Path, names: Sequence[str]) -> dict[str, AttributeLabels]:
    """The labels of a bank folder without those of these attributes, which are deleted."""
    found = read_labels(folder)
    if unknown := [name for name in names if name not in found]:
        raise LabelError(f"{folder}: {unknown} are not labelled; there are {list(found)}")
    kept = {name: one for name, one in found.items() if name not in names}
    save_labels(folder, kept)
    return kept
