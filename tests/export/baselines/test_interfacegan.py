"""export/baselines/interfacegan.py: boundaries of planted directions."""

import numpy as np
import pytest
import torch

from export.baselines.interfacegan import fit_normals

RNG = np.random.default_rng(0)
POINTS = RNG.standard_normal((4000, 16)).astype(np.float32)
DIRECTION = np.zeros(16, dtype=np.float32)
DIRECTION[[2, 9]] = (0.6, -0.8)


def extremes(scores: np.ndarray, per_class: int) -> np.ndarray:
    """Samples with the lowest and the highest scores."""
    order = np.argsort(scores)
    return np.concatenate([order[:per_class], order[-per_class:]])


@pytest.mark.parametrize("scale", [1.0, 0.01, 50.0])
def test_a_planted_direction_is_found_whatever_the_scale(scale: float) -> None:
    scores = POINTS @ DIRECTION
    chosen = extremes(scores, 30)
    normals = fit_normals(POINTS[chosen] * scale + 3, (scores[chosen] > 0).astype(np.int64), 2)
    assert torch.equal(normals[0], -normals[1])
    torch.testing.assert_close(torch.linalg.vector_norm(normals, dim=1), torch.ones(2))
    assert float(normals[1] @ torch.from_numpy(DIRECTION)) > 0.9


def test_more_labels_come_closer() -> None:
    scores = POINTS @ DIRECTION
    cosines = []
    for per_class in (10, 1000):
        chosen = extremes(scores, per_class)
        normals = fit_normals(POINTS[chosen], (scores[chosen] > 0).astype(np.int64), 2)
        cosines.append(float(normals[1] @ torch.from_numpy(DIRECTION)))
    assert cosines[1] > max(cosines[0], 0.99)


def test_several_classes_are_one_against_the_rest() -> None:
    corners = np.eye(16, dtype=np.float32)[:3] * 4
    labels = np.repeat(np.arange(3), 30)
    points = corners[labels] + POINTS[:90] * 0.5
    normals = fit_normals(points, labels, 3)
    assert normals.shape == (3, 16)
    alike = normals @ torch.from_numpy(corners).T  # [class, corner]
    assert alike.argmax(dim=1).tolist() == [0, 1, 2]
    assert (alike.diagonal() > 2).all()


def test_the_same_seed_gives_the_same_normals() -> None:
    labels = (POINTS[:60, 0] > 0).astype(np.int64)
    assert torch.equal(*(fit_normals(POINTS[:60], labels, 2, seed=3) for _ in range(2)))
