"""Images as readers see them: small and, of a model of aligned faces, with who each face is.

Knows nothing about attributes or labels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from model_store import StoredModel, face_finder

SIDE = 64  # pixels at which images are read
_AT_ONCE = 512  # images, between two reports


@dataclass(frozen=True)
class Sights:
    """N images."""

    pixels: np.ndarray  # [N, 64, 64, 3], uint8
    faces: np.ndarray | None = None  # [N, 128], float32, descriptors; None: not of faces

    def of(self, chosen: np.ndarray) -> "Sights":
        """Some of them, by indices."""
        faces = None if self.faces is None else self.faces[chosen]
        return Sights(self.pixels[chosen], faces)


Recognise = Callable[[np.ndarray], np.ndarray]  # images [N, H, W, 3], uint8 -> [N, 128], float32


@dataclass(frozen=True)
class Eyes:
    """How to see the images of a model."""

    recognise: Recognise | None = None  # None: nobody knows faces

    def see(
        self,
        images: np.ndarray,  # [N, H, W, 3], uint8
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Sights:
        """What readers read; to recognise a face takes milliseconds."""
        pixels, count = _small(images), len(images)
        if self.recognise is None:
            return Sights(pixels)
        faces = []
        for first in range(0, count, _AT_ONCE):
            faces.append(self.recognise(np.asarray(images[first : first + _AT_ONCE])))
            progress(min(first + _AT_ONCE, count), count)
        return Sights(pixels, np.concatenate(faces))


def eyes_for(model: StoredModel) -> Eyes:
    """Where a model has a face recognition network, eyes that use it."""
    finder = face_finder(model)
    return Eyes(finder.descriptors if finder is not None and finder.recognises else None)


def _small(images: np.ndarray) -> np.ndarray:
    if images.shape[1:3] == (SIDE, SIDE):
        return images
    side = (SIDE, SIDE)
    return np.stack(
        [np.asarray(Image.fromarray(one).resize(side, Image.Resampling.BOX)) for one in images]
    )
