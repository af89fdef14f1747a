"""Reads one attribute in images after a few labelled ones.

A linear classifier on a view: the pixels of a window of the image or, of faces, who they are.
Cross-validation chooses the view. Enough where the subject sits in the same place in all samples of
a GAN, as aligned faces do. Knows nothing about latents.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from export.errors import LabelError
from export.sights import SIDE, Sights

_GRID = 8  # windows are made of so many cells per side
_WINDOW_CELLS = (2, 3, 5, 8)
_FOLDS = 5
_CHOOSING = 50  # labelled samples of a class that choose the view; the fit learns from all
_TOLERANCE = 5e-4  # of the gradient: finer fits read no better, coarser ones worse
_INVERSE_PENALTY = 0.1  # scikit-learn's C
_LEAST = 1e-12  # probability: a logarithm needs more than none
_CONFIDENT_SHARE = 0.5  # of each class, that the second fit learns from
_MOST_CONFIDENT = 600
_OWN_WEIGHT = 3.0  # of a labelled sample against one that the first fit read


class View(Protocol):
    """What a reader looks at."""

    @property
    def subject(self) -> str:
        """What that is, in a word."""
        ...

    def points(self, sights: Sights) -> np.ndarray:
        """Numbers [N, F], float32."""
        ...


@dataclass(frozen=True)
class Window:
    """The pixels of a square of cells."""

    top: int
    left: int
    cells: int
    subject: ClassVar[str] = "pixels"

    def points(self, sights: Sights) -> np.ndarray:
        """Numbers [N, F], float32, 0..255."""
        cell = SIDE // _GRID
        rows = slice(self.top * cell, (self.top + self.cells) * cell)
        columns = slice(self.left * cell, (self.left + self.cells) * cell)
        pixels = sights.pixels[:, rows, columns]
        return pixels.reshape(len(pixels), -1).astype(np.float32)


@dataclass(frozen=True)
class FaceView:
    """Who a face is, by a network that was taught to tell people apart."""

    subject: ClassVar[str] = "faces"

    def points(self, sights: Sights) -> np.ndarray:
        """Numbers [N, 128], float32, a copy."""
        assert sights.faces is not None, "chosen for images with faces"
        return sights.faces.copy()


@dataclass(frozen=True)
class ImageReader:
    """A fitted classifier of one attribute."""

    view: View
    center: np.ndarray  # [F], of the points of the view
    scale: float
    classifier: Any  # of scikit-learn
    cross_validated: float  # accuracy on the labelled samples, each read by others' labels

    def probabilities(self, sights: Sights) -> np.ndarray:
        """Of every class [N, K], float32."""
        points = (self.view.points(sights) - self.center) / self.scale
        return np.asarray(self.classifier.predict_proba(points), dtype=np.float32)


def fit_reader(
    sights: Sights,
    chosen: np.ndarray,  # [n], indices of the labelled ones
    labels: np.ndarray,  # [n], int64, 0..K-1
    seed: int = 0,
) -> ImageReader:
    """A reader that learned from the chosen images out of N.

    It learns twice: from the labelled samples, then also from those that it read most surely.
    LabelError for a class with fewer samples than folds.
    """
    if np.bincount(labels).min() < _FOLDS:
        raise LabelError(f"needs {_FOLDS} labelled samples of every class to read images")
    few = _at_most(_CHOOSING, labels, np.random.default_rng(seed))
    view, accuracy = _best_view(sights.of(chosen[few]), labels[few], seed)
    points = view.points(sights)
    center = points.mean(axis=0)
    points -= center
    scale = max(float(points.std()), 1e-6)
    points /= scale
    first = _fit(points[chosen], labels).predict_proba(points)
    sure = _surest(first, np.random.default_rng(seed))
    weights = np.repeat([_OWN_WEIGHT, 1.0], [len(chosen), len(sure)])
    targets = np.concatenate([labels, first[sure].argmax(axis=1)])
    second = _fit(points[np.concatenate([chosen, sure])], targets, weights)
    return ImageReader(view, center, scale, second, accuracy)


def _best_view(sights: Sights, labels: np.ndarray, seed: int) -> tuple[View, float]:
    """The view with the best mean log-likelihood under cross-validation, and its accuracy."""
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    best: tuple[float, View, float] | None = None
    for view in _views(sights):
        points = _compressed(view.points(sights))
        found = cross_val_predict(_classifier(), points, labels, cv=folds, method="predict_proba")
        own = found[np.arange(len(labels)), labels]
        likelihood = float(np.log(own.clip(_LEAST)).mean())
        if best is None or likelihood > best[0]:
            best = likelihood, view, float((found.argmax(axis=1) == labels).mean())
    assert best is not None
    return best[1], best[2]


def _at_most(per_class: int, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions of so many drawn samples of each class, or of all that it has; in order."""
    members = [rng.permutation(np.flatnonzero(labels == k)) for k in np.unique(labels)]
    return np.sort(np.concatenate([of_class[:per_class] for of_class in members]))


def _views(sights: Sights) -> Iterator[View]:
    if sights.faces is not None:
        yield FaceView()
    for cells in _WINDOW_CELLS:
        for top in range(_GRID - cells + 1):
            for left in range(_GRID - cells + 1):
                yield Window(top, left, cells)


def _compressed(points: np.ndarray) -> np.ndarray:
    """The same points, scaled, in as many dimensions as they span: only distances count."""
    centred = points - points.mean(axis=0)
    left, scale, _ = np.linalg.svd(centred / max(float(centred.std()), 1e-6), full_matrices=False)
    return np.asarray(left * scale)


def _classifier() -> Any:
    return LogisticRegression(C=_INVERSE_PENALTY, tol=_TOLERANCE, max_iter=2000)


def _fit(points: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Any:
    return _classifier().fit(points, labels, sample_weight=weights)


def _surest(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices of samples out of the surest half of each class, drawn."""
    labels, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    drawn = []
    for k in range(probabilities.shape[1]):
        members = np.flatnonzero(labels == k)
        order = members[np.argsort(-confidence[members], kind="stable")]
        sure = order[: round(_CONFIDENT_SHARE * len(members))]
        drawn.append(rng.permutation(sure)[:_MOST_CONFIDENT])
    return np.concatenate(drawn)
