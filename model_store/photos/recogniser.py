"""Who aligned faces are: a published descriptor network in torch.

The face recognition network of face-api (MIT; dlib's residual network of 128 numbers), as
`gradctrl fetch` converts and stores it. Knows nothing about finding faces.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

_SIDE = 150
_NUMBERS = 128  # of a descriptor
_AT_ONCE = 32  # faces
_MEAN = (122.782, 117.001, 104.298)  # RGB, 0..255
# Of an aligned square: what dlib cuts around eyes and mouth (left, top, right, bottom as shares).
_CROP = (14 / 64, 22 / 64, 50 / 64, 58 / 64)
_STAGES = (  # names of the residual layers in order
    ("conv32", ("1", "2", "3")),
    ("conv64", ("down", "1", "2", "3")),
    ("conv128", ("down", "1", "2")),
    ("conv256", ("down", "1", "2", "down_out")),
)
PREFIX = "recognition."


def is_stored(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a file holds the network."""
    return f"{PREFIX}fc" in tensors


@torch.inference_mode()
def same_person(
    tensors: Mapping[str, Tensor],
    one: np.ndarray,  # [R, R, 3], uint8, aligned
    other: np.ndarray,
) -> float:
    """1 less the distance of their descriptors: 1 for equal, above 0.4 usually the same person."""
    first, second = descriptors(tensors, [one, other])
    return float(1 - torch.linalg.vector_norm(first - second))


@torch.inference_mode()
def descriptors(
    tensors: Mapping[str, Tensor],
    faces: Sequence[np.ndarray] | np.ndarray,  # N of [R, R, 3], uint8, aligned
) -> Tensor:  # [N, 128], float32
    """Who faces are: those of one person are near each other."""
    parts = [faces[first : first + _AT_ONCE] for first in range(0, len(faces), _AT_ONCE)]
    return torch.cat([torch.empty(0, _NUMBERS), *(_descriptors(tensors, part) for part in parts)])


def _descriptors(tensors: Mapping[str, Tensor], faces: Iterable[np.ndarray]) -> Tensor:  # [N, 128]
    x = torch.stack([_input(face) for face in faces])
    x = functional.relu(_scaled(x, tensors, "conv32_down", stride=2, padding=0))
    x = functional.max_pool2d(x, 3, 2)
    for stage, layers in _STAGES:
        for layer in layers:
            name = f"{stage}_{layer}"
            x = _down(x, tensors, name) if layer.startswith("down") else _same(x, tensors, name)
    return x.mean(dim=(2, 3)) @ tensors[f"{PREFIX}fc"]


def _same(x: Tensor, tensors: Mapping[str, Tensor], name: str) -> Tensor:
    y = functional.relu(_scaled(x, tensors, f"{name}.conv1"))
    return functional.relu(_scaled(y, tensors, f"{name}.conv2") + x)


def _down(x: Tensor, tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """Half the side; the shortcut gets empty channels, the branch an empty row and column."""
    y = functional.relu(_scaled(x, tensors, f"{name}.conv1", stride=2, padding=0))
    y = _scaled(y, tensors, f"{name}.conv2")
    pooled = functional.avg_pool2d(x, 2)
    channels = y.shape[1] - pooled.shape[1]
    pooled = functional.pad(pooled, (0, 0, 0, 0, 0, channels))
    missing = pooled.shape[3] - y.shape[3]
    return functional.relu(pooled + functional.pad(y, (0, missing, 0, missing)))


def _scaled(
    x: Tensor, tensors: Mapping[str, Tensor], name: str, stride: int = 1, padding: int = 1
) -> Tensor:
    prefix = f"{PREFIX}{name}"
    weight, bias = tensors[f"{prefix}.conv.filters"], tensors[f"{prefix}.conv.bias"]
    y = functional.conv2d(x, weight, bias, stride, padding)
    scale, shift = tensors[f"{prefix}.scale.weights"], tensors[f"{prefix}.scale.biases"]
    return y * scale[:, None, None] + shift[:, None, None]


def _input(face: np.ndarray) -> Tensor:  # [3, 150, 150]
    side = face.shape[0]
    box = (_CROP[0] * side, _CROP[1] * side, _CROP[2] * side, _CROP[3] * side)
    resized = Image.fromarray(face).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC, box)
    tensor = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float()
    return (tensor - torch.tensor(_MEAN)[:, None, None]) / 255
