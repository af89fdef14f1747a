"""The globals that checkpoints may name, each as a function that looks at its arguments.

Every row stands for a function or class of numpy, torch or a GAN project; none of those is ever
imported or called on behalf of a file.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from model_store.errors import CheckpointError
from model_store.readers.raw_values import RawArray, RawDtype, RawTensor, Storage, as_bytes
from model_store.readers.restricted_pickle import Buildable, Builder, Table

STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Stub(Buildable):
    """An object of a foreign class: its class name and whatever state the file gives it."""

    def __init__(self, class_name: str, state: Any = None) -> None:
        self.class_name = class_name
        self.state = state

    def build(self, state: Any) -> None:
        """Keep the state."""
        self.state = state

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute of the object."""
        return self.state.get(name, default) if isinstance(self.state, dict) else default


class StorageType:
    """The class of a storage, as a persistent id names it."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, *arguments: Any) -> Any:
        """Never meaningful in a file."""
        raise CheckpointError("a storage made without data")


def _new_dict(*arguments: Any) -> dict[Any, Any]:
    """An empty dict; pairs given to the constructor (Python 2 style) are filled in."""
    if not arguments:
        return {}
    (pairs,) = arguments
    filled = {}
    for pair in pairs if isinstance(pairs, list) else ():
        key, value = pair
        if not isinstance(key, str | int):
            raise CheckpointError("a dict with keys that are not names")
        filled[key] = value
    return filled


def _new_set(*arguments: Any) -> set[Any]:
    (items,) = arguments or ([],)
    if not isinstance(items, list) or not all(isinstance(item, str | int) for item in items):
        raise CheckpointError("a set of something else than names")
    return set(items)


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise CheckpointError("bytes in an unknown encoding")
    return text.encode("latin1")


def _scalar(dtype: Any, content: Any) -> Any:
    """A numpy scalar as a Python number."""
    if not isinstance(dtype, RawDtype):
        raise CheckpointError("a scalar that is not a number")
    content = bytes(as_bytes(content))
    if len(content) != dtype.dtype.itemsize:
        raise CheckpointError("a scalar of the wrong size")
    return np.frombuffer(content, dtype=dtype.dtype)[0].item()


def _new_array(*arguments: Any) -> RawArray:
    return RawArray()  # its class, a placeholder shape and type code say nothing


def _array_from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> RawArray:
    return RawArray().fill(shape, dtype, order == "F", content)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *ignored: Any) -> RawTensor:
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise CheckpointError("a tensor without a storage")
    for axes in (shape, stride):
        if not isinstance(axes, tuple) or not all(type(n) is int for n in axes):
            raise CheckpointError("a tensor without shape and stride")
    return RawTensor(storage, offset, shape, stride)


def _rebuild_parameter(tensor: Any, *ignored: Any) -> RawTensor:
    if not isinstance(tensor, RawTensor):
        raise CheckpointError("a parameter that is not a tensor")
    return tensor


def _size(axes: Any) -> tuple[int, ...]:
    if not isinstance(axes, list | tuple) or not all(type(n) is int for n in axes):
        raise CheckpointError("a size that is not a few integers")
    return tuple(axes)


def _class_marker(*arguments: Any) -> Any:
    """A name that may be mentioned (ndarray, a dtype) but stands for nothing that can be made."""
    raise CheckpointError("a type called directly")


def stub_of(class_name: str) -> Callable[..., Stub]:
    """A builder of stubs for objects made without arguments."""

    def new_stub(*arguments: Any) -> Stub:
        return Stub(class_name)

    return new_stub


PLAIN: dict[tuple[str, str], Builder] = {
    ("collections", "OrderedDict"): _new_dict,
    ("builtins", "set"): _new_set,
    ("__builtin__", "set"): _new_set,
    ("_codecs", "encode"): _encode,
}
NUMPY: dict[tuple[str, str], Builder] = {
    ("numpy", "dtype"): RawDtype,
    ("numpy", "ndarray"): _class_marker,
    **{
        (f"numpy.{core}.{module}", name): builder
        for core in ("core", "_core")
        for module, name, builder in (
            ("multiarray", "scalar", _scalar),
            ("multiarray", "_reconstruct", _new_array),
            ("numeric", "_frombuffer", _array_from_buffer),
        )
    },
}
TORCH: dict[tuple[str, str], Builder] = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch", "Size"): _size,
    ("torch", "device"): stub_of("torch.device"),
    **{
        ("torch", str(dtype).removeprefix("torch.")): _class_marker
        for dtype in STORAGE_DTYPES.values()
    },
    **{("torch", name): StorageType(dtype) for name, dtype in STORAGE_DTYPES.items()},
}
# Options of training scripts: kept as plain values or never looked at.
OBJECTS: dict[tuple[str, str], Builder] = {
    ("argparse", "Namespace"): stub_of("Namespace"),
    ("dnnlib.util", "EasyDict"): _new_dict,
    ("dnnlib", "EasyDict"): _new_dict,
}
STATE_DICTS: Table = PLAIN | NUMPY | TORCH | OBJECTS
