"""Runs TensorFlow.js graph models in torch: the operators of small image classifiers, no more.

A graph model is a JSON list of operations over named constants (weight_manifest.py). Nothing of the
file is code, and an operator or an option that is not known here is refused. Images come in as
[N, C, H, W]; inside, four axes are always in that order. Knows nothing about what outputs mean.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from torch import Tensor
from torch.nn import functional

from export.errors import ExportError
from export.labelers.face_api_networks import pad_same
from export.labelers.weight_manifest import read_tensors

_CONVOLUTIONS = ("Conv2D", "_FusedConv2D")
_MOST_NODES = 10_000


class GraphModelError(ExportError, ValueError):
    """A graph that is broken, or that this reader cannot run."""


class _Node(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    op: str
    input: tuple[str, ...] = ()
    attr: dict[str, dict[str, Any]] = {}

    def flag(self, name: str) -> bool:
        """A boolean option; absent is false."""
        return bool(self.attr.get(name, {}).get("b", False))

    def text(self, name: str) -> str:
        """A string option, which the file holds in base64."""
        return base64.b64decode(self.attr.get(name, {}).get("s", "")).decode()

    def texts(self, name: str) -> list[str]:
        """A list of string options."""
        found = self.attr.get(name, {}).get("list", {}).get("s", [])
        return [base64.b64decode(one).decode() for one in found]

    def square(self, name: str) -> int:
        """One number for height and width of an NHWC list; GraphModelError if they differ."""
        values = [int(one) for one in self.attr.get(name, {}).get("list", {}).get("i", [1] * 4)]
        if len(values) != 4 or values[0] != 1 or values[3] != 1 or values[1] != values[2]:
            raise GraphModelError(f"{self.name}: {name} {values} is not supported")
        return values[1]


_NODES = TypeAdapter(tuple[_Node, ...])


@dataclass(frozen=True)
class GraphModel:
    """A graph whose operations are in an order that can be run."""

    nodes: tuple[_Node, ...]
    constants: Mapping[str, Tensor]

    def run(self, images: Tensor, outputs: Sequence[str]) -> list[Tensor]:
        """The values of named operations for images [N, C, H, W]."""
        values = dict(self.constants)
        needed = self._needed(outputs)
        for node in self.nodes:
            if node.name not in needed or node.name in values:
                continue
            if node.op == "Placeholder":
                values[node.name] = images
            else:
                values[node.name] = _OPERATORS[node.op](node, [values[one] for one in node.input])
        return [values[name] for name in outputs]

    def _needed(self, outputs: Sequence[str]) -> set[str]:
        """Every operation that the outputs come from."""
        needed = set(outputs)
        for node in reversed(self.nodes):
            if node.name in needed:
                needed |= set(node.input)
        if missing := needed - {node.name for node in self.nodes}:
            raise GraphModelError(f"no operation {sorted(missing)[0]!r} in the graph")
        return needed


def read_graph_model(file: Path) -> GraphModel:
    """A graph model of a JSON file and the binaries beside it; GraphModelError names what is off.

    Weights that do not fit their description are a WeightManifestError.
    """
    try:
        content = json.loads(file.read_bytes())
        nodes = _NODES.validate_python(content["modelTopology"]["node"])
        manifest = json.dumps(content["weightsManifest"]).encode()
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise GraphModelError(f"{file.name}: not a graph model: {reason}") from error
    _check(file, nodes)
    tensors = read_tensors(file, manifest)
    return GraphModel(_ordered(file, nodes), _constants(file, nodes, tensors))


def _check(file: Path, nodes: Sequence[_Node]) -> None:
    if len(nodes) > _MOST_NODES or len({node.name for node in nodes}) != len(nodes):
        raise GraphModelError(f"{file.name}: {len(nodes)} operations, too many or named alike")
    for node in nodes:
        if node.op not in (*_OPERATORS, "Const", "Placeholder"):
            raise GraphModelError(f"{file.name}: operator {node.op} is not supported")
        if node.attr.get("data_format") and node.text("data_format") != "NHWC":
            raise GraphModelError(f"{file.name}: {node.name}: expected the layout NHWC")


def _ordered(file: Path, nodes: Sequence[_Node]) -> tuple[_Node, ...]:
    """Every operation after its inputs."""
    left, done, ordered = list(nodes), set[str](), list[_Node]()
    while left:
        ready = [node for node in left if done.issuperset(node.input)]
        if not ready:
            raise GraphModelError(f"{file.name}: {left[0].name}: its inputs never come")
        ordered += ready
        done |= {node.name for node in ready}
        left = [node for node in left if node.name not in done]
    return tuple(ordered)


def _constants(
    file: Path, nodes: Sequence[_Node], tensors: Mapping[str, np.ndarray]
) -> dict[str, Tensor]:
    """Constants in torch's layout: filters as their convolution wants them."""
    filters = {node.input[1] for node in nodes if node.op in _CONVOLUTIONS}
    found = {}
    for node in nodes:
        if node.op != "Const":
            continue
        if node.name not in tensors:
            raise GraphModelError(f"{file.name}: {node.name}: no weights")
        tensor = torch.from_numpy(tensors[node.name].copy())
        if node.name in filters:  # height, width, inputs, outputs
            tensor = tensor.permute(3, 2, 0, 1).contiguous()
        found[node.name] = tensor
    return found


def _convolve(node: _Node, values: Sequence[Tensor]) -> Tensor:
    """Convolution, then what is fused with it: a bias, an activation."""
    features, filters, *rest = values
    stride = node.square("strides")
    padded = _padded(node, features, filters.shape[2], stride)
    return _fused(node, functional.conv2d(padded, filters, None, stride), rest)


def _convolve_depthwise(node: _Node, values: Sequence[Tensor]) -> Tensor:
    features, filters = values  # [N, C, H, W]; [H, W, C, M]
    height, width, channels, multiplier = filters.shape
    own = filters.permute(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    stride = node.square("strides")
    padded = _padded(node, features, height, stride)
    return functional.conv2d(padded, own, None, stride, groups=channels)


def _pool(node: _Node, values: Sequence[Tensor]) -> Tensor:
    size, stride = node.square("ksize"), node.square("strides")
    return functional.max_pool2d(_padded(node, values[0], size, stride, -torch.inf), size, stride)


def _multiply(node: _Node, values: Sequence[Tensor]) -> Tensor:
    """Matrix product, then what is fused with it."""
    left, right, *rest = values
    if node.flag("transpose_a") or node.flag("transpose_b"):
        raise GraphModelError(f"{node.name}: transposed products are not supported")
    return _fused(node, left @ right, rest)


def _padded(node: _Node, features: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    if node.square("dilations") != 1:
        raise GraphModelError(f"{node.name}: dilations are not supported")
    padding = node.text("padding")
    if padding == "VALID":
        return features
    if padding != "SAME":
        raise GraphModelError(f"{node.name}: padding {padding!r} is not supported")
    return pad_same(features, kernel, stride, value)


def _fused(node: _Node, product: Tensor, rest: Sequence[Tensor]) -> Tensor:
    left = list(rest)
    for name in node.texts("fused_ops"):
        if name == "BiasAdd":
            product = _aligned(torch.add)(node, [product, left.pop(0)])
        elif name == "Relu":
            product = product.relu()
        else:
            raise GraphModelError(f"{node.name}: fused {name} is not supported")
    return product


def _aligned(operate: Callable[[Tensor, Tensor], Tensor]) -> "Operator":
    """An operator of two tensors whose last axis is that of the channels."""

    def run(node: _Node, values: Sequence[Tensor]) -> Tensor:
        first, second = values
        axes = max(first.ndim, second.ndim)
        return operate(_channels_second(first, axes), _channels_second(second, axes))

    return run


def _channels_second(tensor: Tensor, axes: int) -> Tensor:
    """A vector of channels [C] as [C, 1, 1] where the other tensor is an image."""
    return tensor[:, None, None] if axes == 4 and tensor.ndim == 1 else tensor


def _mean(node: _Node, values: Sequence[Tensor]) -> Tensor:
    images, axes = values
    if sorted(axes.tolist()) != [1, 2]:
        raise GraphModelError(f"{node.name}: expected the mean of height and width")
    return images.mean(dim=(2, 3), keepdim=node.flag("keep_dims"))


def _pad(node: _Node, values: Sequence[Tensor]) -> Tensor:
    images, paddings = values  # [4, 2] in the order N, H, W, C
    (_, height, width, _) = paddings.tolist()
    if paddings[[0, 3]].any():
        raise GraphModelError(f"{node.name}: expected padding of height and width alone")
    return functional.pad(images, [*width, *height])


def _reshape(node: _Node, values: Sequence[Tensor]) -> Tensor:
    tensor, shape = values
    if tensor.ndim == 4:
        tensor = tensor.permute(0, 2, 3, 1)
    sizes = shape.tolist()
    if len(sizes) != 2:
        raise GraphModelError(f"{node.name}: expected a flat shape, got {sizes}")
    return tensor.reshape(sizes)


Operator = Callable[[_Node, Sequence[Tensor]], Tensor]
_OPERATORS: dict[str, Operator] = {
    "Add": _aligned(torch.add),
    "AddV2": _aligned(torch.add),
    "Conv2D": _convolve,
    "DepthwiseConv2dNative": _convolve_depthwise,
    "Identity": lambda node, values: values[0],
    "MatMul": _multiply,
    "MaxPool": _pool,
    "Maximum": _aligned(torch.maximum),
    "Mean": _mean,
    "Minimum": _aligned(torch.minimum),
    "Mul": _aligned(torch.mul),
    "Pad": _pad,
    "Relu": lambda node, values: values[0].relu(),
    "Reshape": _reshape,
    "Sigmoid": lambda node, values: values[0].sigmoid(),
    "Softmax": lambda node, values: values[0].softmax(dim=-1),
    "Sub": _aligned(torch.sub),
    "_FusedConv2D": _convolve,
    "_FusedMatMul": _multiply,
}
