"""StyleGAN pickles as NVIDIA's TensorFlow code writes them, from variables by name."""

import pickle
import struct
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

MODULE_SOURCE = "raise RuntimeError('module source was executed')\n"
Variables = Mapping[str, Tensor]  # names with their component: mapping/Dense0/weight


class Network:
    """dnnlib.tflib.network.Network, pickled by name."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


Network.__module__ = "dnnlib.tflib.network"


@contextmanager
def official_modules() -> Iterator[None]:
    """NVIDIA's module names, importable for the pickler."""
    network = ModuleType("dnnlib.tflib.network")
    network.__dict__["Network"] = Network
    stubs = {name: ModuleType(name) for name in ("dnnlib", "dnnlib.tflib")}
    stubs["dnnlib.tflib.network"] = network
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name in stubs:
            del sys.modules[name]


def network(variables: Variables, options: Mapping[str, Any], name: str = "Gs") -> Network:
    """A generator with the components mapping and synthesis."""
    components = {
        part: Network(_state(part, {k: v for k, v in variables.items() if k.startswith(part)}))
        for part in ("mapping", "synthesis")
    }
    own = {k: v for k, v in variables.items() if "/" not in k}
    state = _state("", own) | {"name": name, "components": components}
    return Network(state | {"static_kwargs": dict(options)})


def write_tensorflow(
    path: Path,
    variables: Variables,
    options: Mapping[str, Any],
    protocol: int = 4,
    alone: bool = False,
) -> Path:
    """(G, D, Gs), or Gs alone; Gs has these variables."""
    averaged = network(variables, options)
    value = averaged if alone else (averaged.components["mapping"], averaged, averaged)  # type: ignore[attr-defined]
    with official_modules(), path.open("wb") as file:
        pickle.dump(value, file, protocol=protocol)
    return path


def write_python2(path: Path, variables: Variables, options: Mapping[str, Any]) -> Path:
    """The same as Python 2 wrote it: protocol 2, every text and byte string in latin-1."""
    averaged = network(variables, options)
    with official_modules(), path.open("wb") as file:
        _Python2Pickler(file, protocol=2).dump((averaged, averaged, averaged))
    return path


def _state(part: str, variables: Variables) -> dict[str, Any]:
    prefix = f"{part}/" if part else ""
    return {
        "version": 4,
        "name": part or "G",
        "static_kwargs": {},
        "components": {},
        "build_module_src": MODULE_SOURCE,
        "build_func_name": "G_main",
        "variables": [
            (name.removeprefix(prefix), np.asarray(v)[()] if v.ndim == 0 else v.numpy())
            for name, v in OrderedDict(variables).items()
        ],
    }


class _Python2Pickler(pickle._Pickler):
    """Texts and bytes become STRING opcodes; numpy goes by the names of its time."""

    write: Any
    memoize: Any

    def save_string(self, text: str | bytes) -> None:
        content = text if isinstance(text, bytes) else text.encode("latin1")
        short = len(content) < 256
        head = struct.pack("<cB" if short else "<ci", b"U" if short else b"T", len(content))
        self.write(head + content)
        self.memoize(text)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        write, collected = self.write, BytesIO()
        self.write = collected.write
        super().save_global(obj, name)  # type: ignore[misc] # typeshed leaves it out
        self.write = write
        self.write(collected.getvalue().replace(b"numpy._core", b"numpy.core"))

    dispatch: ClassVar[dict[type, Any]] = {
        **pickle._Pickler.dispatch,
        str: save_string,
        bytes: save_string,
    }
