"""A face in a photo to a model's square and back. Knows nothing about networks.

A similarity (turn, scale, shift) takes eyes and mouth to where the model's training faces have
them; edited pixels go back through its inverse under a mask with soft borders.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from model_store.photos.errors import PhotoError
from model_store.photos.faces import Face

# Left eye, right eye, middle of the mouth as shares of the square (aligned CelebA, resized to 64
# px of width and cut square).
CELEBA_TEMPLATE = ((25.0 / 64, 32.9 / 64), (38.7 / 64, 32.9 / 64), (32.0 / 64, 47.4 / 64))
_OVERSAMPLING = 4  # of the crop, then averaged: large photos have no aliasing
_FEATHER = 0.12  # share of the square that fades into the photo
_REACH = 3  # standard deviations of the blur within the faded border


@dataclass(frozen=True)
class Placement:
    """Where the model's unit square lies in a photo: photo = matrix @ (x, y, 1), in pixels."""

    matrix: np.ndarray  # [2, 3], float64

    def scaled(self, factor: float) -> "Placement":
        """The same place in a photo of another size."""
        return Placement(self.matrix * factor)


def place_face(faces: Sequence[Face], template: Sequence[Sequence[float]]) -> Placement:
    """Where the only face is; PhotoError if there is none or more than one."""
    if not faces:
        raise PhotoError("no_face", "no face was found; send one face, seen from the front")
    if len(faces) > 1:
        boxes = [[round(value) for value in face.box] for face in faces]
        message = (
            f"{len(faces)} faces were found at {boxes} (left, top, right, bottom); crop to one"
        )
        raise PhotoError("several_faces", message, boxes)
    return Placement(similarity(np.asarray(template, dtype=np.float64), faces[0].points))


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:  # [P, 2] each -> [2, 3]
    """The least squares turn, scale and shift from source to target points (Umeyama 1991)."""
    mean_s, mean_t = source.mean(axis=0), target.mean(axis=0)
    s, t = source - mean_s, target - mean_t
    # As complex numbers, a turn with a scale is one factor.
    s_complex, t_complex = s[:, 0] + 1j * s[:, 1], t[:, 0] + 1j * t[:, 1]
    factor = (np.conj(s_complex) @ t_complex) / max(float((np.abs(s_complex) ** 2).sum()), 1e-12)
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.concatenate([turn, (mean_t - turn @ mean_s)[:, None]], axis=1)


def fit_photo(pixels: np.ndarray, longer: int) -> tuple[np.ndarray, float]:
    """A photo [H, W, 3] whose longer side is at most so long, and the factor that it shrank by."""
    factor = min(1.0, longer / max(pixels.shape[:2]))
    if factor == 1.0:
        return pixels, factor
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)), factor


def crop(pixels: np.ndarray, placement: Placement, side: int) -> np.ndarray:  # [side, side, 3]
    """The model's square of a photo [H, W, 3], uint8; what lies outside repeats the border."""
    across = float(np.hypot(*placement.matrix[:, 0]))  # photo pixels of the square's side
    shrink = max(1, int(across // (side * _OVERSAMPLING)))
    image = Image.fromarray(pixels)
    if shrink > 1:
        image = image.reduce(shrink)
    margin = int(across / shrink)
    padded = np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    fine = side * _OVERSAMPLING
    matrix = placement.matrix / shrink
    coefficients = np.concatenate([matrix[:, :2] / fine, matrix[:, 2:] + margin], axis=1)
    cut = Image.fromarray(padded).transform(
        (fine, fine),
        Image.Transform.AFFINE,
        tuple(coefficients.flatten().tolist()),
        Image.Resampling.BILINEAR,
    )
    return np.array(cut.resize((side, side), Image.Resampling.BOX))


def paste_back(
    photo: np.ndarray,  # [H, W, 3], uint8
    edited: np.ndarray,  # [S, S, 3], uint8
    placement: Placement,
) -> np.ndarray:  # [H, W, 3], uint8
    """The photo with the edited square in it, its borders faded."""
    height, width, _ = photo.shape
    side = edited.shape[0]
    turn, shift = placement.matrix[:, :2], placement.matrix[:, 2]
    inverse = np.linalg.inv(turn) * side
    coefficients = np.concatenate([inverse, -(inverse @ shift)[:, None]], axis=1)
    image = Image.fromarray(photo)

    def placed(source: Image.Image) -> Image.Image:
        return source.transform(
            (width, height),
            Image.Transform.AFFINE,
            tuple(coefficients.flatten().tolist()),
            Image.Resampling.BICUBIC,
        )

    mask = placed(_feathered(side))
    image.paste(placed(Image.fromarray(edited)), (0, 0), mask)
    return np.array(image)


def _feathered(side: int) -> Image.Image:
    """A mask: 255 inside, falling to 0 at the borders."""
    border = max(2, round(side * _FEATHER))
    inner = Image.new("L", (side, side), 0)
    inner.paste(255, (border, border, side - border, side - border))
    return inner.filter(ImageFilter.GaussianBlur(border / _REACH))
