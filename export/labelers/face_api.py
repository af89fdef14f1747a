"""The face-api classifiers as ONNX files, and face images labelled with them.

Knows nothing about where the package comes from, about banks, or about which scores become labels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image

from export.labelers.face_api_networks import (
    EXPRESSIONS,
    FACE_SIDE,
    GENDERS,
    AgeGenderNetwork,
    ExpressionNetwork,
    FaceNetwork,
)
from export.labelers.weight_manifest import read_weight_manifest
from export.onnx_tracing import OnnxMismatchError, trace

Crop = tuple[float, float, float, float]  # left, top, right, bottom as shares of width and height

SCORES = ("male", "age_years", "smiling")
TOLERANCE = 1e-3  # of logits and years, between ONNX Runtime and torch

_INPUT = "faces"
_BATCH = 16  # stays in the cache: 64 takes a seventh longer per face
_CHECKED_FACES = 3  # not the batch size of the trace, so that a frozen batch axis is found
_HAPPY = EXPRESSIONS.index("happy")
_MALE, _FEMALE = GENDERS.index("male"), GENDERS.index("female")


@dataclass(frozen=True)
class _Classifier:
    network: type[FaceNetwork]
    manifest: str  # in the package
    file: str
    outputs: tuple[str, ...]


_CLASSIFIERS = (
    _Classifier(
        AgeGenderNetwork,
        "model/age_gender_model-weights_manifest.json",
        "age_gender.onnx",
        ("age_years", "gender_logits"),
    ),
    _Classifier(
        ExpressionNetwork,
        "model/face_expression_model-weights_manifest.json",
        "expression.onnx",
        ("expression_logits",),
    ),
)


def export_onnx(package: Path, into: Path) -> tuple[Path, ...]:
    """Files of the age/gender and the expression network, made from the unpacked npm package.

    Each is compared with torch first; OnnxMismatchError if it differs, and no file is left.
    """
    into.mkdir(parents=True, exist_ok=True)
    return tuple(_export(classifier, package, into) for classifier in _CLASSIFIERS)


def _export(classifier: _Classifier, package: Path, into: Path) -> Path:
    tensors = read_weight_manifest(package / classifier.manifest)
    network = classifier.network.from_tensors(tensors)
    model = _to_onnx(network, classifier.outputs)
    check_against_torch(model, network)
    path = into / classifier.file
    onnx.save(model, path)
    return path


def _to_onnx(network: FaceNetwork, outputs: tuple[str, ...]) -> onnx.ModelProto:
    return trace(network, {_INPUT: torch.zeros(2, 3, FACE_SIDE, FACE_SIDE)}, outputs)


def check_against_torch(model: onnx.ModelProto, network: FaceNetwork) -> None:
    """Raise OnnxMismatchError unless both give the same numbers for noise images."""
    generator = torch.Generator().manual_seed(0)
    shape = (_CHECKED_FACES, 3, FACE_SIDE, FACE_SIDE)
    faces = torch.rand(shape, generator=generator) * 255
    with torch.inference_mode():
        expected = network(faces)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    session = _open_session(model.SerializeToString(), threads=1)
    found = session.run(None, {_INPUT: faces.numpy()})
    for output, have, want in zip(session.get_outputs(), found, wanted, strict=True):
        difference = float(np.abs(have - want.numpy()).max())
        if not difference <= TOLERANCE:  # NaN is a mismatch too
            raise OnnxMismatchError(
                f"{type(network).__name__}: {output.name} differs from torch by {difference:.2g}, "
                f"allowed is {TOLERANCE}"
            )


def _open_session(model: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Waiting threads that spin double the time on a machine that others use too.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class FaceApiLabeler:
    """Scores of face images from the two exported files, on the CPU."""

    def __init__(self, age_gender: Path, expression: Path, threads: int = 1) -> None:
        self._age_gender = _open_session(age_gender, threads)
        self._expression = _open_session(expression, threads)

    def scores(
        self,
        images: np.ndarray,  # [N, H, W, 3], uint8, RGB
        crop: Crop | None = None,
    ) -> dict[str, np.ndarray]:
        """Float32 arrays [N] by the names in SCORES.

        `male` and `smiling` are log odds, positive for yes: of the two genders, and of happy
        against all other expressions together.
        """
        expect_images(images)
        scores = {name: np.empty(len(images), np.float32) for name in SCORES}
        for start in range(0, len(images), _BATCH):
            batch = slice(start, start + _BATCH)
            faces = prepare_faces(images[batch], crop)
            for name, values in self._score(faces).items():
                scores[name][batch] = values
        return scores

    def _score(self, faces: np.ndarray) -> dict[str, np.ndarray]:
        age_years, gender = self._age_gender.run(None, {_INPUT: faces})
        (expression,) = self._expression.run(None, {_INPUT: faces})
        others = np.delete(expression, _HAPPY, axis=1)  # [N, 6]
        return {
            "male": gender[:, _MALE] - gender[:, _FEMALE],
            "age_years": age_years,
            "smiling": expression[:, _HAPPY] - np.logaddexp.reduce(others, axis=1),
        }


def prepare_faces(
    images: np.ndarray,  # [N, H, W, 3], uint8
    crop: Crop | None,
    side: int = FACE_SIDE,
) -> np.ndarray:  # [N, 3, side, side], float32, 0..255
    """Cropped to whole pixels, then resized bilinearly; pixels outside the crop have no part."""
    cropped = images if crop is None else _cut(images, crop)
    resized = [
        np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.BILINEAR))
        for face in cropped
    ]
    return np.ascontiguousarray(np.stack(resized).transpose(0, 3, 1, 2), dtype=np.float32)


def _cut(images: np.ndarray, crop: Crop) -> np.ndarray:
    left, top, right, bottom = crop
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(f"crop: expected left < right and top < bottom within 0..1, got {crop}")
    _, height, width, _ = images.shape
    rows = slice(round(top * height), round(bottom * height))
    columns = slice(round(left * width), round(right * width))
    cut = images[:, rows, columns]
    if 0 in cut.shape[1:]:
        raise ValueError(f"crop: {crop} leaves no pixel of {width} x {height}")
    return cut


def expect_images(images: np.ndarray) -> None:
    """Raise ValueError unless images are uint8 [N, H, W, 3]."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            f"images: expected uint8 [N, H, W, 3], got {images.dtype} {list(images.shape)}"
        )
