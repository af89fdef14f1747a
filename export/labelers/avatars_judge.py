"""Every attribute of the `avatars` model, read by the judge that ships with it.

The judge learned from drawn avatars alone and never from generated ones.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from export.demo_model.attributes import ATTRIBUTES
from export.demo_model.judge import JUDGE_FILE, Judge
from export.labels import AttributeLabels

LABELLED_BY = "avatars-judge, trained on python-avatars drawings"


def judge_labels(
    images: np.ndarray,  # [N, 64, 64, 3], uint8
    progress: Callable[[int, int], None] = lambda done, total: None,
    path: Path = JUDGE_FILE,
) -> dict[str, AttributeLabels]:
    """Labels by attribute; JudgeError for images of another size."""
    logits = Judge(path).read(images, progress).logits
    return {
        attribute.name: AttributeLabels(attribute.classes, LABELLED_BY, logits[attribute.name])
        for attribute in ATTRIBUTES
    }
