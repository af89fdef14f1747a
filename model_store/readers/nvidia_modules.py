"""NVIDIA's pickled PyTorch modules: stubs with a state, flattened to named tensors.

torch_utils.persistence stores the source of a class beside its state; the source stays a text that
nobody looks at. Knows nothing about what the modules compute.
"""

from dataclasses import dataclass, field
from typing import Any

from model_store.errors import CheckpointError
from model_store.readers.pickle_tables import NUMPY, OBJECTS, PLAIN, TORCH, Stub
from model_store.readers.raw_values import RawTensor
from model_store.readers.restricted_pickle import Builder, Table
from model_store.readers.torch_files import load_storage

MAX_DEPTH = 16
MAX_VISITED = 50_000  # modules, tensors and empty places


@dataclass
class Flattened:
    """A module tree: raw tensors and the stub of each module, by dotted name."""

    tensors: dict[str, RawTensor] = field(default_factory=dict)
    modules: dict[str, Stub] = field(default_factory=dict)
    visited: int = 0


def flatten(root: Stub) -> Flattened:
    """All parameters and buffers below `root`; CheckpointError if it is no module."""
    found = Flattened()
    _collect(root, "", 0, found)
    return found


def same_attribute(found: Flattened, suffixes: tuple[str, ...], name: str, default: Any) -> Any:
    """An attribute that all modules whose names end so must share."""
    values = [
        stub.get(name, default)
        for path, stub in found.modules.items()
        if path.rpartition(".")[2] in suffixes
    ]
    if any(value != values[0] for value in values):
        raise CheckpointError(f"modules {list(suffixes)} do not agree on {name}")
    return values[0] if values else default


def _collect(stub: Any, prefix: str, depth: int, found: Flattened) -> None:
    if not isinstance(stub, Stub) or not isinstance(stub.get("_modules"), dict):
        raise CheckpointError(f"{prefix or 'the network'} is not a PyTorch module")
    found.modules[prefix] = stub
    children = stub.get("_modules")
    named = [stub.get(kind) for kind in ("_parameters", "_buffers")]
    named = [values for values in named if isinstance(values, dict)]
    found.visited += len(children) + sum(map(len, named)) + 1
    if depth > MAX_DEPTH or found.visited > MAX_VISITED:
        raise CheckpointError(f"modules deeper than {MAX_DEPTH} or more than {MAX_VISITED} parts")
    dot = f"{prefix}." if prefix else ""
    for values in named:
        for name, value in values.items():
            if isinstance(value, RawTensor):
                found.tensors[f"{dot}{name}"] = value
            elif value is not None:
                raise CheckpointError(f"{dot}{name} is not a tensor")
    for name, child in children.items():
        if child is not None:
            _collect(child, f"{dot}{name}", depth + 1, found)


def _persistent_object(meta: Any) -> Stub:
    """torch_utils.persistence._reconstruct_persistent_obj; module_src is left alone."""
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise CheckpointError("a persistent object without a class name")
    return Stub(meta["class_name"], meta.get("state"))


_PERSISTENCE: dict[tuple[str, str], Builder] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
    ("torch.storage", "_load_from_bytes"): load_storage,
}
TABLE: Table = PLAIN | NUMPY | TORCH | OBJECTS | _PERSISTENCE
