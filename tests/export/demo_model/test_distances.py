"""Distances against closed forms."""

import numpy as np
import pytest

from export.demo_model.distances import (
    class_frequencies,
    frechet_distance,
    nearest_distances,
    total_variation,
)


def test_total_variation_of_known_distributions() -> None:
    first = class_frequencies(np.array([0, 0, 1, 2]), 4)
    assert first.tolist() == [0.5, 0.25, 0.25, 0.0]
    assert total_variation(first, np.array([0.25, 0.25, 0.25, 0.25])) == pytest.approx(0.25)
    assert total_variation(np.array([1.0, 0]), np.array([0.0, 1])) == 1


def test_frechet_distance_of_known_gaussians() -> None:
    rng = np.random.default_rng(0)
    first = rng.standard_normal((200_000, 2))
    second = rng.standard_normal((200_000, 2)) * [2.0, 1.0] + [3.0, 0.0]
    # |mean|^2 + sum of (sigma - sigma')^2
    assert frechet_distance(first, second) == pytest.approx(9 + 1, rel=0.02)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_sees_correlation() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50_000, 2))
    tied = np.stack([x[:, 0], x[:, 0]], axis=1)
    # trace(I + [[1,1],[1,1]]) - 2 * trace(sqrt) = 4 - 2 * sqrt(2)
    assert frechet_distance(x, tied) == pytest.approx(4 - 2 * 2**0.5, rel=0.03)


def test_nearest_distances_equal_the_plain_loop() -> None:
    rng = np.random.default_rng(0)
    queries = rng.integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    references = rng.integers(0, 256, (2_500, 4, 4, 3), dtype=np.uint8)
    references[2_400] = queries[3]
    plain = [
        min(np.sqrt(np.square(q.astype(float) - r.astype(float)).mean()) for r in references)
        for q in queries
    ]
    found = nearest_distances(queries, references)
    np.testing.assert_allclose(found, plain, rtol=1e-3, atol=0.05)
    assert found[3] == pytest.approx(0, abs=0.05)
