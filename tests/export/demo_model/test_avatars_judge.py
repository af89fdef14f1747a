"""The labeler of `avatars` gives labels of every attribute."""

import numpy as np
import pytest

from export.demo_model.attributes import ATTRIBUTES
from export.demo_model.judge import Judge, JudgeError
from export.labelers.avatars_judge import judge_labels


def test_labels_are_the_judge_s(capsys: pytest.CaptureFixture[str]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    notes: list[tuple[int, int]] = []
    labels = judge_labels(images, lambda done, total: notes.append((done, total)))
    judgement = Judge().read(images)
    assert list(labels) == [a.name for a in ATTRIBUTES]
    for attribute in ATTRIBUTES:
        found = labels[attribute.name]
        assert found.classes == attribute.classes
        assert found.scores.dtype == np.float32
        np.testing.assert_array_equal(found.labels(), judgement.labels()[attribute.name])
    assert notes == [(3, 3)]
    assert not capsys.readouterr().out


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(JudgeError):
        judge_labels(np.zeros((1, 128, 128, 3), np.uint8))
