"""NVIDIA's pickled TensorFlow networks: stubs with arrays, flattened to named variables.

dnnlib.tflib.network.Network stores the source of its build function; it stays a text that nobody
looks at. Knows nothing about what the networks compute.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.errors import CheckpointError
from model_store.readers.pickle_tables import NUMPY, OBJECTS, PLAIN, Stub, stub_of
from model_store.readers.raw_values import Raw, RawArray, RawDtype
from model_store.readers.restricted_pickle import Builder, Table

NETWORK = "dnnlib.tflib.network.Network"
MAX_DEPTH = 8
MAX_VARIABLES = 20_000
_CLASSES: dict[tuple[str, str], Builder] = {
    ("dnnlib.tflib.network", "Network"): stub_of(NETWORK),
    ("tfutil", "Network"): stub_of(NETWORK),  # before dnnlib existed
}
TABLE: Table = PLAIN | NUMPY | OBJECTS | _CLASSES


@dataclass(frozen=True)
class TensorflowNetwork:
    """Variables by path (component/variable) and the options of its build function."""

    variables: dict[str, Raw]
    options: dict[str, Any]
    version: int


def network_of(value: Any) -> TensorflowNetwork:
    """Gs of an unpickled (G, D, Gs), or a network pickled alone; CheckpointError if neither."""
    found = value[2] if isinstance(value, tuple) and len(value) == 3 else value
    if not isinstance(found, Stub) or found.class_name != NETWORK:
        raise CheckpointError("expected networks (G, D, Gs), found something else")
    variables: dict[str, Raw] = {}
    _collect(found, "", variables, budget=[MAX_VARIABLES])
    options = found.get("static_kwargs")
    if not isinstance(options, dict):
        raise CheckpointError("the network has no static_kwargs")
    version = found.get("version")
    return TensorflowNetwork(variables, options, version if isinstance(version, int) else 0)


def _collect(network: Any, prefix: str, found: dict[str, Raw], budget: list[int]) -> None:
    """Variables of a network and its components; `budget` is what may still be looked at."""
    if not isinstance(network, Stub) or prefix.count("/") > MAX_DEPTH:
        raise CheckpointError(f"{prefix or 'the network'}: not a network")
    variables, components = network.get("variables"), network.get("components")
    pairs = variables if isinstance(variables, list) else []
    parts = components if isinstance(components, dict) else {}
    budget[0] -= len(pairs) + len(parts)
    if budget[0] < 0:
        raise CheckpointError(f"more than {MAX_VARIABLES} variables and components")
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise CheckpointError(f"{prefix}: a variable without a name")
        found[prefix + pair[0]] = _as_array(prefix + pair[0], pair[1])
    for name, component in parts.items():
        _collect(component, f"{prefix}{name}/", found, budget)


def _as_array(name: str, value: Any) -> RawArray:
    """A variable; one without axes may have been pickled as a plain number."""
    if isinstance(value, RawArray):
        return value
    if isinstance(value, int | float):
        return RawArray().fill((), RawDtype("f8"), False, np.float64(value).tobytes())
    raise CheckpointError(f"{name}: not an array")
