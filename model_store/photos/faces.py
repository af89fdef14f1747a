"""Faces in a photo and where their eyes and mouths are: two small published networks in torch.

The tiny face detector and the 68 point landmark network of face-api (MIT; a Tiny YOLO v2 with
separable convolutions, and a small dense network), as `gradctrl fetch` converts and stores them.
Knows nothing about generators or files. Parameters keep their published names.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from model_store.errors import CheckpointError
from model_store.photos import recogniser

FACES_FILE = "faces.safetensors"
DETECTOR_SIDES = (416, 160)  # the second one sees faces that fill a small photo
LANDMARKS_SIDE = 112
MIN_SCORE = 0.4
_MAX_OVERLAP = 0.4  # of two detections of different faces
_SMALL = 0.5  # of the largest face's side: what is smaller stands in the background
_ANCHORS = (  # width and height of the detector's boxes, in cells
    (1.603231, 2.094468),
    (6.041143, 7.080126),
    (2.882459, 3.518061),
    (4.266906, 5.178857),
    (9.041765, 10.66308),
)
_DETECTOR_MEAN = (117.001, 114.697, 97.404)  # RGB, 0..255
_LANDMARKS_MEAN = (122.782, 117.001, 104.298)
_LEFT_EYE, _RIGHT_EYE, _MOUTH = slice(36, 42), slice(42, 48), slice(48, 68)
_STRIDE = 32  # pixels of a cell
_CONVOLUTIONS, _DENSE_BLOCKS, _DENSE_LAYERS = 6, 4, 4


@dataclass(frozen=True)
class Face:
    """A face in pixels of its photo."""

    box: tuple[float, float, float, float]  # left, top, right, bottom
    score: float  # 0..1
    points: np.ndarray  # [3, 2] x, y: left eye, right eye, middle of the mouth, as seen


class FaceFinder:
    """Frozen networks that find faces."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """Raises CheckpointError unless the networks' tensors are there."""
        missing = [name for name in _names() if name not in tensors]
        if missing:
            raise CheckpointError(f"faces: missing tensors {missing}")
        self._tensors = {name: tensor.float() for name, tensor in tensors.items()}

    @torch.inference_mode()
    def find(self, pixels: np.ndarray) -> list[Face]:  # [H, W, 3], uint8
        """Faces, the largest first."""
        for side in DETECTOR_SIDES:
            boxes, scores = self._detect(pixels, side)
            if len(boxes):
                break
        kept: list[int] = []
        for index in np.argsort(-scores):
            if all(_overlap(boxes[index], boxes[other]) <= _MAX_OVERLAP for other in kept):
                kept.append(int(index))
        kept = [i for i in kept if _side(boxes[i]) >= _SMALL * max(_side(boxes[j]) for j in kept)]
        faces = [
            Face(_tuple(boxes[i]), float(scores[i]), self._points(pixels, boxes[i])) for i in kept
        ]
        return sorted(faces, key=lambda face: -_area(face.box))

    def likeness(self, one: np.ndarray, other: np.ndarray) -> float | None:
        """As recogniser.same_person, of aligned faces [R, R, 3], uint8; None where not stored."""
        if not self.recognises:
            return None
        return recogniser.same_person(self._tensors, one, other)

    @property
    def recognises(self) -> bool:
        """Whether it has descriptors."""
        return recogniser.is_stored(self._tensors)

    def descriptors(self, faces: np.ndarray) -> np.ndarray:  # [N, 128], float32
        """As recogniser.descriptors, of aligned faces [N, R, R, 3], uint8."""
        return recogniser.descriptors(self._tensors, faces).numpy()

    def _detect(self, pixels: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Boxes [B, 4] in pixels and scores [B] above MIN_SCORE."""
        height, width, _ = pixels.shape
        x = _network_input(_padded(pixels, side, centred=False), _DETECTOR_MEAN)
        x = self._tiny_yolo(x)[0].permute(1, 2, 0)  # [G, G, 25]
        cells = x.shape[0]
        found = x.reshape(cells, cells, len(_ANCHORS), 5)
        anchors = torch.tensor(_ANCHORS)
        rows = torch.arange(cells)[:, None, None].expand(cells, cells, len(_ANCHORS))
        centre_x = rows.transpose(0, 1) + found[..., 0].sigmoid()
        centre_y = rows + found[..., 1].sigmoid()
        half_width = found[..., 2].clamp(max=8).exp() * anchors[:, 0] / 2
        half_height = found[..., 3].clamp(max=8).exp() * anchors[:, 1] / 2
        boxes = torch.stack(
            [
                centre_x - half_width,
                centre_y - half_height,
                centre_x + half_width,
                centre_y + half_height,
            ],
            dim=-1,
        ) * (max(height, width) / cells)
        scores = found[..., 4].sigmoid()
        is_face = scores > MIN_SCORE
        return boxes[is_face].numpy(), scores[is_face].numpy()

    def _tiny_yolo(self, x: Tensor) -> Tensor:  # [1, 3, S, S] -> [1, 25, S / 32, S / 32]
        weights = self._tensors
        for i in range(_CONVOLUTIONS):
            name = f"detector.conv{i}"
            if i == 0:
                x = functional.conv2d(
                    x, weights[f"{name}.filters"], weights[f"{name}.bias"], padding=1
                )
            else:
                x = _separable(x, weights, name, padding=1)
            x = functional.leaky_relu(x, 0.1)
            if i < _CONVOLUTIONS - 1:
                x = functional.max_pool2d(x, 2)
            else:  # the last one keeps the size: one row and column more, to the right and below
                x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-math.inf), 2, 1)
        return functional.conv2d(
            x, weights["detector.conv8.filters"], weights["detector.conv8.bias"]
        )

    def _points(self, pixels: np.ndarray, box: np.ndarray) -> np.ndarray:  # [3, 2]
        """Eyes and mouth of the face in a box."""
        height, width, _ = pixels.shape
        left, top = np.floor(np.clip(box[:2], 0, (width - 1, height - 1))).astype(int)
        right, bottom = np.ceil(np.clip(box[2:], (left + 1, top + 1), (width, height))).astype(int)
        face = pixels[top:bottom, left:right]
        x = _network_input(_padded(face, LANDMARKS_SIDE, centred=True), _LANDMARKS_MEAN)
        for block in range(_DENSE_BLOCKS):
            x = self._dense_block(x, f"landmarks.dense{block}", is_first=block == 0)
        x = x.mean(dim=(2, 3)) @ self._tensors["landmarks.fc.weights"]
        relative = (x + self._tensors["landmarks.fc.bias"]).reshape(-1, 2).numpy()  # [68, 2]
        longer = max(face.shape[:2])
        margin = (np.array([longer, longer]) - face.shape[1::-1]) / 2
        points = relative * longer - margin + (left, top)
        return np.stack([points[part].mean(axis=0) for part in (_LEFT_EYE, _RIGHT_EYE, _MOUTH)])

    def _dense_block(self, x: Tensor, name: str, is_first: bool) -> Tensor:
        """Four convolutions, each reading the rectified sum of all before it; half the side."""
        weights = self._tensors
        padded = _pad_same(x, stride=2)
        if is_first:
            entry = _plain(padded, weights, f"{name}.conv0", stride=2)
        else:
            entry = _separable(padded, weights, f"{name}.conv0", stride=2)
        total = functional.relu(entry)
        for layer in range(1, _DENSE_LAYERS):
            total = total + _separable(
                functional.relu(total), weights, f"{name}.conv{layer}", padding=1
            )
        return functional.relu(total)


def _plain(
    x: Tensor, weights: Mapping[str, Tensor], name: str, stride: int = 1, padding: int = 0
) -> Tensor:
    return functional.conv2d(
        x, weights[f"{name}.filters"], weights[f"{name}.bias"], stride, padding
    )


def _separable(
    x: Tensor, weights: Mapping[str, Tensor], name: str, stride: int = 1, padding: int = 0
) -> Tensor:
    depthwise = weights[f"{name}.depthwise_filter"]
    x = functional.conv2d(x, depthwise, stride=stride, padding=padding, groups=depthwise.shape[0])
    return functional.conv2d(x, weights[f"{name}.pointwise_filter"], weights[f"{name}.bias"])


def _pad_same(x: Tensor, stride: int, kernel: int = 3) -> Tensor:
    """As TensorFlow's SAME: an odd pixel goes to the right and to the bottom."""
    side = x.shape[2]
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return functional.pad(x, (total // 2, total - total // 2) * 2)


def _padded(pixels: np.ndarray, side: int, centred: bool) -> np.ndarray:  # [side, side, 3]
    """A photo within a square, black around it."""
    height, width, _ = pixels.shape
    scale = side / max(height, width)
    fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = Image.fromarray(pixels).resize(fitted, Image.Resampling.BILINEAR)
    canvas = Image.new("RGB", (side, side))
    corner = ((side - fitted[0]) // 2, (side - fitted[1]) // 2) if centred else (0, 0)
    canvas.paste(small, corner)
    return np.asarray(canvas)


def _network_input(pixels: np.ndarray, mean: tuple[float, float, float]) -> Tensor:
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()  # [1, 3, S, S]
    return (tensor - torch.tensor(mean)[:, None, None]) / 255


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    corner, end = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.maximum(end - corner, 0)))
    return shared / (_area(_tuple(one)) + _area(_tuple(other)) - shared)


def _side(box: np.ndarray) -> float:
    return math.sqrt(_area(_tuple(box)))


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _tuple(box: np.ndarray) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in box)
    return left, top, right, bottom


def _names() -> list[str]:
    """Every tensor that the networks read."""
    separable = ("depthwise_filter", "pointwise_filter", "bias")
    names = ["detector.conv0.filters", "detector.conv0.bias"]
    names += [f"detector.conv{i}.{part}" for i in range(1, _CONVOLUTIONS) for part in separable]
    names += ["detector.conv8.filters", "detector.conv8.bias"]
    for block in range(_DENSE_BLOCKS):
        for layer in range(_DENSE_LAYERS):
            parts = ("filters", "bias") if block == layer == 0 else separable
            names += [f"landmarks.dense{block}.conv{layer}.{part}" for part in parts]
    return [*names, "landmarks.fc.weights", "landmarks.fc.bias"]
