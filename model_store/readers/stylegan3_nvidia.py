"""StyleGAN3 as NVIDIA pickles it in PyTorch."""

from typing import Any

from model_store.errors import CheckpointError
from model_store.networks.stylegan3 import FilteredLayer, Stylegan3Options
from model_store.readers.network_parts import NetworkParts, load_tensors
from model_store.readers.nvidia_modules import Flattened
from model_store.readers.pickle_tables import Stub
from model_store.readers.raw_values import RawArray
from model_store.readers.stylegan2_nvidia import claimed_resolution, mapping_options

MAX_LAYERS = 64
MAX_FACTOR = 16
MAX_SIZE = 8192  # pixels, of any layer


def read_stylegan3_nvidia(found: Flattened, file_bytes: int) -> NetworkParts:
    """Parts of the flattened G_ema."""
    synthesis, source = found.modules["synthesis"], found.modules["synthesis.input"]
    names = synthesis.get("layer_names")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_LAYERS:
        raise CheckpointError("synthesis: layer_names is not a list of layers")
    layers = tuple(_layer(found, name) for name in names)
    size = _square("synthesis.input", source.get("size"))
    resolution = claimed_resolution(found)
    if resolution is None or resolution != _output_size(found, names[-1]):
        raise CheckpointError("img_resolution is not the size of the last layer")
    clamps = {found.modules[f"synthesis.{name}"].get("conv_clamp") for name in names}
    options = Stylegan3Options(
        input_size=size,
        sampling_rate=_number("synthesis.input", source, "sampling_rate"),
        bandwidth=_number("synthesis.input", source, "bandwidth"),
        layers=layers,
        resolution=resolution,
        conv_clamp=_one_clamp(clamps),
        output_scale=_number("synthesis", synthesis, "output_scale"),
        mapping=mapping_options(found),
    )
    tensors = load_tensors(found.tensors, file_bytes)
    return NetworkParts("stylegan3", tensors, options, resolution_claimed=resolution)


def _layer(found: Flattened, name: Any) -> FilteredLayer:
    stub = found.modules.get(f"synthesis.{name}")
    if stub is None:
        raise CheckpointError(f"synthesis has no layer {str(name)[:80]!r}")
    factors = [stub.get("up_factor"), stub.get("down_factor")]
    padding = stub.get("padding")
    if not all(type(factor) is int and 1 <= factor <= MAX_FACTOR for factor in factors):
        raise CheckpointError(f"synthesis.{name}: up_factor or down_factor is out of range")
    if not isinstance(padding, list) or not all(
        type(one) is int and abs(one) <= MAX_SIZE for one in padding
    ):
        raise CheckpointError(f"synthesis.{name}: padding is not four numbers of pixels")
    left, right, top, bottom = padding
    return FilteredLayer(
        str(name), factors[0], factors[1], (left, right, top, bottom), bool(stub.get("is_torgb"))
    )


def _output_size(found: Flattened, name: str) -> int:
    return _square(f"synthesis.{name}", found.modules[f"synthesis.{name}"].get("out_size"))


def _square(where: str, value: Any) -> int:
    """Pixels per side of a stored size (an array of two, a pair or a number)."""
    found = value.tensor().tolist() if isinstance(value, RawArray) else value
    sides = list(found) if isinstance(found, list | tuple) else [found, found]
    if len(sides) != 2 or sides[0] != sides[1]:
        raise CheckpointError(f"{where}: the size is not that of a square")
    if not isinstance(sides[0], int | float) or not 1 <= sides[0] <= MAX_SIZE:
        raise CheckpointError(f"{where}: the size is not within 1..{MAX_SIZE} pixels")
    return int(sides[0])


def _number(where: str, stub: Stub, name: str) -> float:
    value = stub.get(name)
    if not isinstance(value, int | float) or not 0 < value < MAX_SIZE:
        raise CheckpointError(f"{where}: {name} is not a positive number")
    return float(value)


def _one_clamp(clamps: set[Any]) -> float | None:
    if len(clamps) != 1:
        raise CheckpointError("layers do not agree on conv_clamp")
    (clamp,) = clamps
    if clamp is None:
        return None
    if not isinstance(clamp, int | float) or not clamp > 0:
        raise CheckpointError("conv_clamp is not a positive number")
    return float(clamp)
