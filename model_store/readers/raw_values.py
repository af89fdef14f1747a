"""Tensors and arrays of a checkpoint before anything is allocated for them.

A raw tensor knows where its bytes lie and what shape they claim; `tensor` checks the claim and only
then copies. Knows nothing about formats.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_store.errors import CheckpointError
from model_store.readers.restricted_pickle import Buildable

MAX_AXES = 8
MAX_LENGTH = 1 << 31  # of one axis
_DTYPE = re.compile(r"^(f[248]|[iu][1248]|b1)$")

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Storage:
    """A row of numbers somewhere in the file."""

    dtype: torch.dtype
    numel: int
    read: Callable[[], Bytes]  # exactly numel numbers, little-endian


@dataclass(frozen=True)
class RawTensor:
    """A view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Elements that the shape claims."""
        return math.prod(self.shape)

    def tensor(self) -> Tensor:
        """A copy of its own memory; CheckpointError if the view leaves or repeats the storage."""
        expect_lengths(self.shape)
        if len(self.stride) != len(self.shape) or min((*self.stride, self.offset)) < 0:
            raise CheckpointError(f"strides do not fit the shape {list(self.shape)}")
        reach = sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        if self.numel and (
            self.numel > self.storage.numel or self.offset + reach >= self.storage.numel
        ):
            raise CheckpointError(
                f"shape {list(self.shape)} does not lie within {self.storage.numel} stored numbers"
            )
        if self.numel == 0:
            return torch.empty(self.shape, dtype=self.storage.dtype)
        content = bytearray(self.storage.read())
        expected = self.storage.numel * self.storage.dtype.itemsize
        if len(content) != expected:
            raise CheckpointError(f"a storage of {expected} bytes has {len(content)}")
        flat = torch.frombuffer(content, dtype=self.storage.dtype)
        return flat.as_strided(self.shape, self.stride, self.offset).contiguous()


class RawDtype(Buildable):
    """numpy.dtype of numbers; anything else is refused."""

    def __init__(self, code: Any, *rest: Any) -> None:
        if not isinstance(code, str) or not _DTYPE.match(code):
            raise CheckpointError("an array of something else than numbers")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """The pickled state (version, byte order, ...): only the byte order matters."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order == ">":
            self.dtype = self.dtype.newbyteorder(">")
        elif order not in ("<", "|", "="):
            raise CheckpointError("a dtype without a byte order")


class RawArray(Buildable):
    """numpy.ndarray of numbers."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = (0,)
        self._dtype = np.dtype("f4")
        self._fortran = False
        self._content: Bytes = b""

    def build(self, state: Any) -> None:
        """The pickled state (version, shape, dtype, is_fortran, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise CheckpointError("an array without shape, dtype and bytes")
        _, shape, dtype, fortran, content = state
        self.fill(shape, dtype, bool(fortran), content)

    def fill(self, shape: Any, dtype: Any, fortran: bool, content: Any) -> "RawArray":
        """Shape, dtype and bytes, checked against each other."""
        content = as_bytes(content)
        if not isinstance(dtype, RawDtype) or not isinstance(shape, tuple):
            raise CheckpointError("an array without shape and dtype")
        expect_lengths(shape)
        if math.prod(shape) * dtype.dtype.itemsize != len(content):
            raise CheckpointError(f"an array of shape {list(shape)} has {len(content)} bytes")
        self.shape, self._dtype = shape, dtype.dtype
        self._fortran, self._content = fortran, content
        return self

    @property
    def numel(self) -> int:
        """Elements of the array."""
        return math.prod(self.shape)

    def tensor(self) -> Tensor:
        """A copy in native byte order."""
        flat = np.frombuffer(self._content, dtype=self._dtype)
        array = flat.reshape(self.shape, order="F" if self._fortran else "C")
        native = array.astype(self._dtype.newbyteorder("="), order="C")
        return torch.from_numpy(native)


def expect_lengths(shape: tuple[Any, ...]) -> None:
    """CheckpointError unless these are the lengths of a few axes."""
    usable = len(shape) <= MAX_AXES and all(
        type(length) is int and 0 <= length < MAX_LENGTH for length in shape
    )
    if not usable:
        raise CheckpointError("a shape that is not a few non-negative integers")


def as_bytes(value: Any) -> Bytes:
    """Raw bytes; Python 2 wrote them as latin-1 text."""
    if isinstance(value, str):
        return value.encode("latin1")
    if not isinstance(value, bytes | bytearray | memoryview):
        raise CheckpointError(f"a {type(value).__name__} where bytes belong")
    return value


Raw = RawTensor | RawArray
