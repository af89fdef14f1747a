"""What a reader hands over: canonical tensors and the options that they do not show.

Here raw tensors become real ones, within a budget and without NaN, whatever the format.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model_store.cards import Family
from model_store.errors import CheckpointError
from model_store.readers.raw_values import Raw, RawArray, RawTensor

MAX_TENSORS = 20_000


@dataclass(frozen=True)
class NetworkParts:
    """A generator before it has a card."""

    family: Family
    tensors: dict[str, Tensor]  # float32, canonical names
    options: Any  # the family's frozen dataclass
    truncation: float = 1.0
    truncation_cutoff: int | None = None
    resolution_claimed: int | None = None  # by the file's own options
    notes: str = ""


def load_tensors(raw: Mapping[str, Raw], file_bytes: int) -> dict[str, Tensor]:
    """All tensors as float32; CheckpointError if they outgrow the file or hold NaN or infinity.

    A number takes at least a byte, so a file cannot hold more numbers than bytes; storages may be
    shared, but not so often that reading them takes long.
    """
    if len(raw) > MAX_TENSORS:
        raise CheckpointError(f"{len(raw)} tensors are more than {MAX_TENSORS}")
    elements = sum(value.numel for value in raw.values())
    read = sum(v.storage.numel for v in raw.values() if isinstance(v, RawTensor))
    if elements > file_bytes or read > 4 * file_bytes:
        raise CheckpointError(f"the tensors claim {elements} numbers, the file has {file_bytes} B")
    tensors = {}
    for name, value in raw.items():
        tensor = _named(name, value).float()
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{name} holds NaN or infinity")
        tensors[name] = tensor
    return tensors


def raw_state(value: Any, what: str) -> dict[str, Raw]:
    """A state dict of raw tensors; numbers count as tensors without axes."""
    if not isinstance(value, dict) or not value:
        raise CheckpointError(f"{what}: expected a state dict, found {type(value).__name__}")
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, RawTensor | RawArray):
            raise CheckpointError(f"{what}: {str(name)[:80]!r} is not a named tensor")
    return value


def _named(name: str, value: Raw) -> Tensor:
    try:
        return value.tensor()
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error
