"""`directions.safetensors`: what the baselines fitted, by method and attribute.

One entry is `<method>.<attribute>.vectors` [K, C] (StyleSpace: [K, S]) with a row per class, and
`.layers` [K, 2]; names of classes and a remark lie in the file's metadata. An entry whose classes
are no longer those of the card is not offered. Knows nothing about fitting.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model_store.cards import ModelCard
from model_store.errors import CorruptModelError
from model_store.files import write_tensors
from model_store.store import StoredModel, save_files

DIRECTIONS_FILE = "directions.safetensors"
STYLE_METHODS = ("stylespace",)  # their vectors lie in style space
_METADATA = "directions"  # one key: the order of several would change the file's hash


@dataclass(frozen=True)
class Directions:
    """The directions of one method for one attribute."""

    method: str
    attribute: str
    classes: tuple[str, ...]  # K names, the order of the rows
    vectors: Tensor  # [K, C] unit, or [K, S] offsets; a zero row: no direction for this class
    layers: Tensor  # [K, 2], int64, half-open
    remark: str = ""  # how each was chosen

    @property
    def key(self) -> str:
        """Its name in the file."""
        return f"{self.method}.{self.attribute}"


def stored_directions(model: StoredModel) -> list[Directions]:
    """Every direction of a stored model that its card still fits; CorruptModelError otherwise."""
    path = model.path / DIRECTIONS_FILE
    if DIRECTIONS_FILE not in model.card.files:
        return []
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads((file.metadata() or {})[_METADATA])
            found = [
                Directions(
                    entry["method"],
                    entry["attribute"],
                    tuple(entry["classes"]),
                    file.get_tensor(f"{entry['method']}.{entry['attribute']}.vectors"),
                    file.get_tensor(f"{entry['method']}.{entry['attribute']}.layers"),
                    entry["remark"],
                )
                for entry in described
            ]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CorruptModelError(f"{model.tag}: {DIRECTIONS_FILE}: {error}") from error
    for one in found:
        _check(model, one)
    return [one for one in found if _fits(model.card, one)]


def save_directions(model: StoredModel, directions: Iterable[Directions]) -> StoredModel:
    """A new version of the model: these replace those of the same method and attribute."""
    kept = {one.key: one for one in stored_directions(model)}
    kept |= {one.key: one for one in directions}
    with tempfile.TemporaryDirectory(prefix="gradctrl-") as folder:
        path = Path(folder) / DIRECTIONS_FILE
        _write(kept, path)
        return save_files(model, {DIRECTIONS_FILE: path})


def _write(directions: Mapping[str, Directions], path: Path) -> None:
    tensors, described = {}, []
    for key, one in sorted(directions.items()):
        tensors[f"{key}.vectors"] = one.vectors.contiguous().clone()  # tensors may not share memory
        tensors[f"{key}.layers"] = one.layers.contiguous().clone()
        described.append(
            {
                "method": one.method,
                "attribute": one.attribute,
                "classes": one.classes,
                "remark": one.remark,
            }
        )
    write_tensors(tensors, path, {_METADATA: json.dumps(described)})


def _check(model: StoredModel, one: Directions) -> None:
    """CorruptModelError unless shapes and numbers are what the model can use."""
    num_layers, channels = model.card.latent_shape
    rows = len(one.classes)
    columns = one.vectors.shape[-1] if one.method in STYLE_METHODS else channels
    finite = one.vectors.is_floating_point() and bool(torch.isfinite(one.vectors).all())
    if one.vectors.shape != (rows, columns) or not finite:
        raise CorruptModelError(
            f"{model.tag}: {DIRECTIONS_FILE}: {one.key}: expected finite [{rows}, {columns}], "
            f"got {list(one.vectors.shape)} {one.vectors.dtype}"
        )
    whole = one.layers.dtype == torch.int64 and one.layers.shape == (rows, 2)
    if not whole or any(not 0 <= low < high <= num_layers for low, high in one.layers.tolist()):
        raise CorruptModelError(
            f"{model.tag}: {DIRECTIONS_FILE}: {one.key}: expected layers [{rows}, 2] within "
            f"0..{num_layers}"
        )


def _fits(card: ModelCard, one: Directions) -> bool:
    return any(a.name == one.attribute and a.classes == one.classes for a in card.attributes)
