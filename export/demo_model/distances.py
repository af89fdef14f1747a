"""Distances between sets: class frequencies, Gaussians of features, nearest neighbours.

Arrays in, numbers out. Knows nothing about models, judges or files.
"""

import numpy as np

_CHUNK = 1000  # rows of the larger set at a time


def class_frequencies(labels: np.ndarray, num_classes: int) -> np.ndarray:  # [N] -> [K]
    """Share of every class."""
    return np.bincount(labels, minlength=num_classes) / len(labels)


def total_variation(first: np.ndarray, second: np.ndarray) -> float:
    """Half the summed difference of two distributions [K]: 0 for equal, 1 for disjoint."""
    return float(np.abs(first - second).sum() / 2)


def frechet_distance(
    first: np.ndarray,  # [N, F]
    second: np.ndarray,  # [M, F]
) -> float:
    """Squared Wasserstein distance of the Gaussians with their means and covariances."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    between = float(np.square(x.mean(axis=0) - y.mean(axis=0)).sum())
    covariance_x, covariance_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = _square_root(covariance_x)
    # The trace of (XY)^(1/2), by a symmetric matrix with the same eigenvalues.
    values = np.linalg.eigvalsh(root @ covariance_y @ root)
    overlap = float(np.sqrt(np.clip(values, 0, None)).sum())
    return between + float(np.trace(covariance_x) + np.trace(covariance_y)) - 2 * overlap


def nearest_distances(
    queries: np.ndarray,  # [N, ...]
    references: np.ndarray,  # [M, ...], may be memory-mapped
) -> np.ndarray:
    """Root mean square difference [N] of each query to its nearest reference."""
    flat = queries.reshape(len(queries), -1).astype(np.float32)
    own = np.square(flat).sum(axis=1)  # [N]
    nearest = np.full(len(flat), np.inf, dtype=np.float32)
    for start in range(0, len(references), _CHUNK):
        chunk = np.asarray(references[start : start + _CHUNK], dtype=np.float32)
        chunk = chunk.reshape(len(chunk), -1)
        squared = own[:, None] - 2 * (flat @ chunk.T) + np.square(chunk).sum(axis=1)
        nearest = np.minimum(nearest, squared.min(axis=1))
    return np.sqrt(np.clip(nearest, 0, None) / flat.shape[1])


def _square_root(matrix: np.ndarray) -> np.ndarray:
    """Of a symmetric positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
