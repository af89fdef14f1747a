"""InterFaceGAN's boundaries: a linear SVM per attribute on labelled latents (scikit-learn).

The paper (Shen et al. 2020, section 3.1) trains on the samples with the highest and lowest scores;
which these are is the caller's choice. More than two classes: one boundary against the rest each.
"""

import numpy as np
import torch
from sklearn.svm import LinearSVC
from torch import Tensor

_ITERATIONS = 100_000


def fit_normals(
    points: np.ndarray,  # [N, C]
    labels: np.ndarray,  # [N], 0..num_classes - 1
    num_classes: int,
    seed: int = 0,
) -> Tensor:  # [K, C], float32, unit length, pointing into each class
    """Normals of the boundaries of all classes; the two of a binary attribute are opposite."""
    # One scale for all channels, so that the SVM's C = 1 means the same in every latent space.
    scaled = (points - points.mean(axis=0)) / max(float(points.std()), 1e-6)
    if num_classes == 2:
        normal = _boundary(scaled, labels == 1, seed)
        return torch.stack([-normal, normal])
    return torch.stack([_boundary(scaled, labels == k, seed) for k in range(num_classes)])


def _boundary(points: np.ndarray, inside: np.ndarray, seed: int) -> Tensor:
    """Unit normal [C] towards the samples that are inside."""
    machine = LinearSVC(C=1.0, class_weight="balanced", max_iter=_ITERATIONS, random_state=seed)
    machine.fit(points.astype(np.float64), inside)
    normal = torch.from_numpy(machine.coef_[0])
    return (normal / torch.linalg.vector_norm(normal)).float()
