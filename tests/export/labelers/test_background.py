"""export/labelers/background.py."""

import numpy as np

from export.labelers.background import CLASSES, background_luma, background_scores


def face_on(background: int, face: int) -> np.ndarray:
    image = np.full((64, 64, 3), background, dtype=np.uint8)
    image[10:, 12:52] = face
    return image


def test_the_border_decides_and_the_face_does_not() -> None:
    images = np.stack([face_on(5, 250), face_on(120, 0), face_on(240, 30)])
    np.testing.assert_allclose(background_luma(images), [5, 120, 240], atol=0.5)
    labels = background_scores(images).argmax(axis=1)
    assert [CLASSES[k] for k in labels] == ["dark", "medium", "light"]
