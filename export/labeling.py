"""`gradctrl label`: who labels a bank, and how its images become scores.

A labeler is a function from uint8 images to AttributeLabels; the networks lie in labelers/.
"""

from collections.abc import Callable
from pathlib import Path

import bentoml
import numpy as np
from bentoml.exceptions import NotFound

from export.banks import open_bank
from export.errors import LabelError
from export.labelers.avatars_judge import judge_labels
from export.labelers.background import CLASSES as BACKGROUND_CLASSES
from export.labelers.background import background_scores
from export.labelers.face_api import FaceApiLabeler, export_onnx
from export.labels import AttributeLabels, binary_scores, read_csv, read_labels, save_labels
from export.packages import Package, download_npm, scratch_folder

FACE_API = Package(
    "@vladmandic/face-api",
    "1.7.15",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    "MIT",
)
# Of aligned CelebA faces: left, top, right, bottom as shares of the side (12..52, 12..60 of 64 px).
CELEBA_CROP = (12 / 64, 12 / 64, 52 / 64, 60 / 64)
AGE_NOTE = "boundary_years="
_CHUNK = 512

Progress = Callable[[int, int], None]  # images done, images in all
Labeler = Callable[[np.ndarray, Progress], dict[str, AttributeLabels]]


def label_bank(
    folder: Path,
    labeler: str | None,
    table: Path | None,
    progress: Progress = lambda done, total: None,
) -> dict[str, AttributeLabels]:
    """Label a bank by a named labeler or a CSV file, save the labels, give all of them back."""
    bank = open_bank(folder)
    if table is not None:
        found = read_csv(table, bank.info.samples)
    elif labeler in LABELERS:
        found = LABELERS[labeler](bank.images, progress)
    else:
        raise LabelError(f"no labeler {labeler!r}; there are: {', '.join(LABELERS)}")
    save_labels(folder, found)
    return read_labels(folder)


def face_api_labels(
    images: np.ndarray,  # [N, H, W, 3], uint8
    progress: Progress = lambda done, total: None,
    age_boundary: float | None = None,  # years; default: the median of these images
) -> dict[str, AttributeLabels]:
    """Gender, smile and age by the face-api classifiers."""
    labeler = load_face_api()
    parts: dict[str, list[np.ndarray]] = {}
    for first in range(0, len(images), _CHUNK):
        chunk = np.asarray(images[first : first + _CHUNK])
        for name, values in labeler.scores(chunk, CELEBA_CROP).items():
            parts.setdefault(name, []).append(values)
        progress(min(first + _CHUNK, len(images)), len(images))
    scores = {name: np.concatenate(values) for name, values in parts.items()}
    boundary = float(np.median(scores["age_years"])) if age_boundary is None else age_boundary
    source = FACE_API.label
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
    """Years at which the stored age labels change; LabelError if they are not by face-api."""
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
    tag = f"gradctrl_labeler-face-api:{FACE_API.version}"
    try:
        entry = bentoml.models.get(tag)
    except NotFound:
        with scratch_folder() as folder, bentoml.models.create(tag) as entry:
            export_onnx(download_npm(FACE_API, folder), Path(entry.path))
    folder = Path(bentoml.models.get(tag).path)
    return FaceApiLabeler(folder / "age_gender.onnx", folder / "expression.onnx")


LABELERS: dict[str, Labeler] = {
    "avatars-judge": judge_labels,
    "background": background_labels,
    "face-api": face_api_labels,
}
