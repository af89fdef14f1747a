"""Image classifiers as judges: uint8 images in, margins of every attribute out.

A judge joins one or more labelers of export/labeling.py and keeps the attributes that the model's
card also has. Knows nothing about latents or edits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from editing import log_odds
from export.banks import open_bank
from export.errors import LabelError
from export.labeling import (
    FACE_API,
    HUMAN,
    LABELERS,
    Progress,
    age_boundary,
    face_api_labels,
    human_labels,
)
from export.labels import AttributeLabels, read_labels
from model_store import AttributeCard

Labeler = Callable[[np.ndarray, Progress], dict[str, AttributeLabels]]
MEDIAN_IMAGES = 500  # of the bank


@dataclass(frozen=True)
class Judge:
    """Labelers with the attributes that count, in the order of the card."""

    name: str  # of the labelers
    attributes: tuple[AttributeCard, ...]  # judged ones
    labelers: tuple[Labeler, ...]

    def index(self, name: str) -> int:
        """Where an attribute stands among the judged ones."""
        return [attribute.name for attribute in self.attributes].index(name)

    def margins(
        self,
        images: np.ndarray,  # [N, H, W, 3], uint8
        progress: Progress = lambda done, total: None,
    ) -> Tensor:  # [N, A, K], log-odds; -inf for classes that an attribute does not have
        """What the images show."""
        found: dict[str, AttributeLabels] = {}
        for labeler in self.labelers:
            found |= labeler(images, progress)
        classes = max(len(attribute.classes) for attribute in self.attributes)
        logits = torch.full((len(images), len(self.attributes), classes), -torch.inf)
        for a, attribute in enumerate(self.attributes):
            labels = found[attribute.name]
            for k, name in enumerate(attribute.classes):
                logits[:, a, k] = torch.from_numpy(labels.scores[:, labels.classes.index(name)])
        return log_odds(logits)


def make_judge(
    names: Sequence[str],
    attributes: Sequence[AttributeCard],  # of the model
    bank_folder: Path,
    probe: np.ndarray,  # [N, H, W, 3], uint8, images to ask once what the labelers know
    labelers: Mapping[str, Labeler] | None = None,
) -> Judge:
    """A judge of the named labelers; LabelError if one is unknown or shares no attribute."""
    known = {**LABELERS, **boundary_of_bank(bank_folder)} if labelers is None else labelers
    if unknown := [name for name in names if name not in known]:
        raise LabelError(f"no labeler {unknown[0]!r}; there are: {', '.join(known)}")
    chosen = tuple(known[name] for name in names)
    classes: dict[str, set[str]] = {}
    for labeler in chosen:
        for name, one in labeler(probe, lambda done, total: None).items():
            classes[name] = set(one.classes)
    judged = tuple(one for one in attributes if classes.get(one.name) == set(one.classes))
    if not judged:
        raise LabelError(
            f"{', '.join(names)} and the model have no attribute in common: "
            f"{sorted(classes)} against {[one.name for one in attributes]}"
        )
    return Judge("+".join(names), judged, chosen)


def boundary_of_bank(folder: Path) -> dict[str, Labeler]:
    """Labelers of faces with one boundary of age: a few images have no median to use.

    The labeler of the bank keeps the bank's own; the other one takes its median of the bank's
    first images, when it is first asked.
    """
    try:
        label = read_labels(folder)["age"]
        own = {_FAMILIES[label.labelled_by]: age_boundary(label)}
    except (KeyError, LabelError):
        own = {}
    return {
        name: partial(label_faces, age_boundary=own[name])
        if name in own
        else _with_median(label_faces, folder)
        for name, label_faces in _FACE_LABELERS.items()
    }


class AgedLabeler(Protocol):
    """A labeler of faces that can be told where old begins."""

    def __call__(
        self, images: np.ndarray, progress: Progress, age_boundary: float | None = None
    ) -> dict[str, AttributeLabels]:
        """Labels of uint8 images [N, H, W, 3]."""
        ...


_FACE_LABELERS: dict[str, AgedLabeler] = {"face-api": face_api_labels, "human": human_labels}
_FAMILIES = {FACE_API.label: "face-api", HUMAN.label: "human"}


def _with_median(label_faces: AgedLabeler, folder: Path) -> Labeler:
    @cache
    def boundary() -> float:
        images = np.asarray(open_bank(folder).images[:MEDIAN_IMAGES])
        return age_boundary(label_faces(images, lambda done, total: None)["age"])

    return lambda images, progress: label_faces(images, progress, age_boundary=boundary())
