"""Images as readers see them: small and, of a model of aligned faces, with who each face is.

Knows nothing about attributes or labels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from model_store import StoredModel, face_finder

SIDE = 64  # pixels at which images are read


@dataclass(frozen=True)
class Sights:
    """N images."""

    pixels: np.ndarray  # [N, 64, 64, 3], uint8
    faces: np.ndarray | None = None  # [N, 128], float32, descriptors; None: not of faces

    def of(self, chosen: np.ndarray) -> "Sights":
        """Some of them, by indices."""
        faces = None if self.faces is None else self.faces[chosen]
        return Sights(self.pixels[chosen], faces)


See = Callable[[np.ndarray], Sights]  # images [N, H, W, 3], uint8
_AT_ONCE = 512  # images, between two reports


def see(images: np.ndarray) -> Sights:
    """Images [N, H, W, 3], uint8, of anything."""
    return Sights(_small(images))


def eyes_for(model: StoredModel) -> See:
    """How to see images of a model: where it has a face recognition network, with it."""
    finder = face_finder(model)
    if finder is None or not finder.recognises:
        return see
    recognise = finder.descriptors
    return lambda images: Sights(_small(images), recognise(images))


def look_through(
    images: np.ndarray,  # [N, H, W, 3], uint8
    see_part: See,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sights:
    """All images of a bank: to recognise a face takes milliseconds."""
    parts = []
    for first in range(0, len(images), _AT_ONCE):
        parts.append(see_part(np.asarray(images[first : first + _AT_ONCE])))
        progress(min(first + _AT_ONCE, len(images)), len(images))
    faces = [part.faces for part in parts if part.faces is not None]
    pixels = np.concatenate([part.pixels for part in parts])
    return Sights(pixels, np.concatenate(faces) if faces else None)


def _small(images: np.ndarray) -> np.ndarray:
    if images.shape[1:3] == (SIDE, SIDE):
        return images
    side = (SIDE, SIDE)
    return np.stack(
        [np.asarray(Image.fromarray(one).resize(side, Image.Resampling.BOX)) for one in images]
    )
