"""Checks tensor shapes at public borders; knows nothing about their meaning."""

from collections.abc import Sequence

from torch import Tensor

from editing.errors import ShapeError


def expect_shape(name: str, tensor: Tensor, shape: Sequence[int | None]) -> None:
    """Raise ShapeError unless `tensor` has `shape`; None matches any length."""
    found = tuple(tensor.shape)
    matches = len(found) == len(shape) and all(
        want is None or have == want for have, want in zip(found, shape, strict=True)
    )
    if not matches:
        expected = ", ".join("any" if want is None else str(want) for want in shape)
        raise ShapeError(f"{name}: expected shape [{expected}], got {list(found)}")
