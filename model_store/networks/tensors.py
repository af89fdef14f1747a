"""Named tensors of a network held against the shapes that its architecture asks for.

Knows nothing about formats: every family states its shapes, this file compares.
"""

from collections.abc import Mapping

from torch import Tensor

from model_store.errors import CheckpointError

Shapes = dict[str, tuple[int, ...]]


def require_shapes(tensors: Mapping[str, Tensor], shapes: Shapes) -> None:
    """Raise CheckpointError unless exactly these tensors are there, each of its shape."""
    if missing := sorted(shapes.keys() - tensors.keys()):
        raise CheckpointError(f"missing tensor {missing[0]!r} ({len(missing)} missing in all)")
    if unknown := sorted(tensors.keys() - shapes.keys()):
        raise CheckpointError(f"unknown tensor {unknown[0]!r} ({len(unknown)} unknown in all)")
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(
                f"{name}: expected shape {list(shape)}, found {list(tensors[name].shape)}"
            )


def require_tensor(tensors: Mapping[str, Tensor], name: str, ndim: int) -> Tensor:
    """The tensor that sizes are read from; CheckpointError if it is not there as such."""
    if name not in tensors:
        raise CheckpointError(f"missing tensor {name!r}")
    if tensors[name].ndim != ndim:
        found = list(tensors[name].shape)
        raise CheckpointError(f"{name}: expected {ndim} axes, found shape {found}")
    return tensors[name]
