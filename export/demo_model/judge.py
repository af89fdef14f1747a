"""The trained judge: uint8 images to logits per attribute and feature vectors, by ONNX Runtime.

Knows nothing about torch, training or banks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from export.demo_model.attributes import ATTRIBUTES
from export.errors import ExportError

JUDGE_FILE = Path(__file__).parent / "weights" / "judge.onnx"
SIDE = 64  # pixels
_BATCH = 64


class JudgeError(ExportError):
    """Images that the judge cannot read, or a judge that is not there."""


@dataclass(frozen=True)
class Judgement:
    """What the judge says about images."""

    logits: dict[str, np.ndarray]  # attribute -> [N, K], float32
    features: np.ndarray  # [N, F], float32

    def labels(self) -> dict[str, np.ndarray]:
        """Class indices [N] by attribute, int64."""
        return {name: values.argmax(axis=1) for name, values in self.logits.items()}

    def confidence(self) -> dict[str, np.ndarray]:
        """Probability [N] of the chosen class by attribute."""
        return {name: _largest_probability(values) for name, values in self.logits.items()}


class Judge:
    """The exported network in an ONNX Runtime session, on the CPU."""

    def __init__(self, path: Path = JUDGE_FILE, threads: int = 1) -> None:
        if not path.is_file():
            raise JudgeError(f"{path}: no judge; run: python -m export.demo_model.judge_training")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Waiting threads that spin double the time on a machine that others use too.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def read(
        self,
        images: np.ndarray,  # [N, 64, 64, 3], uint8, RGB
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Judgement:
        """Judgement of all images; JudgeError for other shapes or types."""
        if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3) or not len(images):
            raise JudgeError(
                f"images: expected uint8 [N, {SIDE}, {SIDE}, 3] with N > 0, "
                f"got {images.dtype} {list(images.shape)}"
            )
        logits, features = [], []
        for start in range(0, len(images), _BATCH):
            batch = np.ascontiguousarray(images[start : start + _BATCH])
            found = self._session.run(["logits", "features"], {"images": batch})
            logits.append(found[0])
            features.append(found[1])
            progress(min(start + _BATCH, len(images)), len(images))
        return Judgement(_split(np.concatenate(logits)), np.concatenate(features))


def _split(logits: np.ndarray) -> dict[str, np.ndarray]:  # [N, all classes] -> name -> [N, K]
    borders = np.cumsum([len(a.classes) for a in ATTRIBUTES])[:-1]
    parts = np.split(logits, borders, axis=1)
    return {a.name: part for a, part in zip(ATTRIBUTES, parts, strict=True)}


def _largest_probability(logits: np.ndarray) -> np.ndarray:  # [N, K] -> [N]
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return 1 / shifted.sum(axis=1)
