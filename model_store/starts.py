"""Where walks and images start: seeds, z, class labels and latents, as a card allows them.

The service and the command line both start here, so that a seed is the same sample everywhere.
Knows nothing about HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_store.cards import ModelCard, Space
from model_store.errors import PlanError
from model_store.generators import Mapper, z_from_seed

MAX_MAGNITUDE = 1e6  # of a number in a latent or label: its squares and sums stay finite float32


@dataclass(frozen=True)
class Starts:
    """N samples as plain arrays, float32: latents of the edit space, or z still to be mapped."""

    latents: np.ndarray | None = None  # [N, L, C]
    z: np.ndarray | None = None  # [N, z_dim]
    labels: np.ndarray | None = None  # [N or 1, c_dim], with the z of a conditional model
    truncation: float = 1.0  # psi, for z


def z_of_seeds(card: ModelCard, seeds: Sequence[int]) -> np.ndarray:  # [N, z_dim]
    """Standard normal z, one per seed."""
    return np.stack([z_from_seed(seed, card.z_dim) for seed in seeds])


def start_latents(mapper: Mapper, starts: Starts) -> Tensor:  # [N, L, C]
    """Latents of the edit space; z is mapped with the truncation cutoff of the card."""
    if starts.latents is not None:
        return torch.tensor(starts.latents)
    assert starts.z is not None
    z, labels = torch.tensor(starts.z), None
    if starts.labels is not None:
        labels = torch.tensor(starts.labels).expand(len(z), -1)
    return mapper.mapping(z, labels, starts.truncation, mapper.card.truncation_cutoff)


def latent_shape_in(card: ModelCard, space: Space) -> tuple[int, int]:
    """Layers and channels [L, C] of a latent given in one of the card's source spaces."""
    _, channels = card.latent_shape
    return {"z": (1, card.z_dim), "w": (1, channels), "w_plus": card.latent_shape}[space]


def class_labels(
    card: ModelCard, class_label: object, is_needed: bool = True
) -> np.ndarray | None:  # [1, c_dim], float32
    """One-hot of a class, or the given numbers; None for a model without classes.

    PlanError on `class_label` unless it fits the card; None is refused only where it `is_needed`.
    """
    classes = card.c_dim
    if not classes:
        if class_label is None:
            return None
        message = f"model {card.name!r} has no classes; leave class_label out"
        raise PlanError("bad_request", message, "class_label", [])
    if class_label is None and not is_needed:
        return None
    if type(class_label) is int and 0 <= class_label < classes:  # True is no class
        return one_hot(np.array([class_label]), classes)
    if isinstance(class_label, list | tuple) and len(class_label) == classes:
        numbers = [value for value in class_label if _is_number(value)]
        if len(numbers) == classes:
            return np.array([numbers], dtype=np.float32)
    given = "none" if class_label is None else f"{class_label!r:.60}"
    raise PlanError(
        "bad_request",
        f"model {card.name!r} takes as class_label a class 0..{classes - 1} or "
        f"{classes} numbers, got {given}",
        "class_label",
        [0, classes - 1],
    )


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:  # [N, num_classes], float32
    """Class labels of classes [N]."""
    vectors = np.zeros((len(labels), num_classes), dtype=np.float32)
    vectors[np.arange(len(labels)), labels] = 1
    return vectors


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float) and type(value) is not bool and abs(value) <= MAX_MAGNITUDE
    )
