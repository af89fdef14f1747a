"""Reads weights published as a JSON manifest over plain binaries, quantised or not.

A manifest is a list of groups; a group names its binaries and, in the order of their bytes, its
tensors. Runs no code from the files and knows nothing about networks or layouts.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)

from export.errors import ExportError

_STORED: dict[str, np.dtype] = {  # little-endian whatever the machine
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "float16": np.dtype("<f2"),
    "float32": np.dtype("<f4"),
    "int32": np.dtype("<i4"),
}


class WeightManifestError(ExportError, ValueError):
    """A manifest, or tensors from one, that do not fit what they should describe."""


def _bare_file_name(name: str) -> str:
    # A manifest comes from outside and must not reach files elsewhere.
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"expected the name of a file next to the manifest, got {name!r}")
    return name


class _Strict(BaseModel):
    # An unknown key may change what the bytes mean.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Quantization(_Strict):
    dtype: Literal["uint8", "uint16"]
    scale: FiniteFloat
    min: FiniteFloat


class _Halved(_Strict):
    dtype: Literal["float16"]
    original_dtype: Literal["float32"] = "float32"


class _Entry(_Strict):
    name: Annotated[str, Field(min_length=1)]
    shape: tuple[PositiveInt, ...]
    dtype: Literal["float32", "int32"]
    quantization: Annotated[_Quantization | _Halved, Field(discriminator="dtype")] | None = None

    @property
    def stored(self) -> np.dtype:
        """How one number lies in the binary."""
        return _STORED[self.quantization.dtype if self.quantization else self.dtype]

    @property
    def num_bytes(self) -> int:
        """Length in the binary."""
        return math.prod(self.shape) * self.stored.itemsize


class _Group(_Strict):
    paths: Annotated[
        tuple[Annotated[str, AfterValidator(_bare_file_name)], ...], Field(min_length=1)
    ]
    weights: tuple[_Entry, ...]


_MANIFEST = TypeAdapter(tuple[_Group, ...])


def read_weight_manifest(manifest: Path) -> dict[str, np.ndarray]:
    """Tensors by name, float32 in the published layout; WeightManifestError if anything is off."""
    return read_tensors(manifest, _read(manifest))


def read_tensors(manifest: Path, groups_json: bytes) -> dict[str, np.ndarray]:
    """The tensors of a manifest that lies in another file; its binaries lie beside that.

    float32, or int32 where the manifest says so.
    """
    groups = _parse(manifest, groups_json)
    _expect_unique_names(manifest, [entry.name for group in groups for entry in group.weights])
    tensors: dict[str, np.ndarray] = {}
    for group in groups:
        content = b"".join(_read(manifest.parent / path) for path in group.paths)
        described = sum(entry.num_bytes for entry in group.weights)
        if described != len(content):
            raise WeightManifestError(
                f"{manifest.name}: describes {described} bytes, "
                f"but {' + '.join(group.paths)} holds {len(content)}"
            )
        offset = 0
        for entry in group.weights:
            tensors[entry.name] = _decode(entry, content[offset : offset + entry.num_bytes])
            offset += entry.num_bytes
    return tensors


def _parse(manifest: Path, groups_json: bytes) -> tuple[_Group, ...]:
    try:
        return _MANIFEST.validate_json(groups_json)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise WeightManifestError(f"{manifest.name}: {place}: {first['msg']}") from error


def _expect_unique_names(manifest: Path, names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise WeightManifestError(f"{manifest.name}: names that occur twice: {repeated}")


def _decode(entry: _Entry, content: bytes) -> np.ndarray:
    stored = np.frombuffer(content, entry.stored).reshape(entry.shape)
    if entry.quantization is None or isinstance(entry.quantization, _Halved):
        return stored.astype(entry.dtype)
    # In double precision and rounded once, as JavaScript computes it.
    values = stored.astype(np.float64) * entry.quantization.scale + entry.quantization.min
    return values.astype(np.float32)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightManifestError(f"{path.name}: cannot be read: {error.strerror}") from error
