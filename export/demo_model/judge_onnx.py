"""The judge as an ONNX file, written node by node and compared with torch.

The graph is a chain of ten layers; written by hand it holds nothing of the machine that made it.
Input `images` uint8 [N, 64, 64, 3]; outputs `logits` and `features`, float32.
"""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from export.demo_model.judge_network import FEATURES, STRIDES, JudgeNetwork
from export.errors import ExportError

TOLERANCE = 1e-3  # of logits and features, between ONNX Runtime and torch
OPSET = 18
_IR_VERSION = 9
_SIDE = 64
_CHECKED = 3


class JudgeMismatchError(ExportError):
    """An exported judge that does not compute what the torch network computes."""


def to_onnx(network: JudgeNetwork) -> onnx.ModelProto:
    """The model of a network from `folded`; JudgeMismatchError if it computes something else."""
    graph = _Graph()
    x = graph.add("Cast", ["images"], to=TensorProto.FLOAT)
    x = graph.add("Transpose", [x], perm=[0, 3, 1, 2])
    x = graph.add("Mul", [x, graph.constant("scale", torch.tensor(1 / 127.5))])
    x = graph.add("Sub", [x, graph.constant("one", torch.tensor(1.0))])
    for i, (layer, stride) in enumerate(zip(network.convolutions, STRIDES, strict=True)):
        assert isinstance(layer, nn.Conv2d)
        x = graph.add(
            "Conv", [x, *graph.weights(f"conv{i}", layer)], strides=[stride] * 2, pads=[1] * 4
        )
        x = graph.add("Relu", [x])
    x = graph.add("Flatten", [x])
    x = graph.add("Gemm", [x, *graph.weights("hidden", network.hidden)], transB=1)
    graph.add("Relu", [x], "features")
    graph.add("Gemm", ["features", *graph.weights("heads", network.heads)], "logits", transB=1)
    model = graph.model(network.heads.out_features)
    check_against_torch(model, network)
    return model


class _Graph:
    """Nodes and weights in the order in which they are added."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[TensorProto] = []

    def add(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """Name of the output of a new node."""
        name = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, name: str, value: Tensor) -> str:
        """Name of a new float32 initializer."""
        values = np.asarray(value.detach().numpy(), dtype=np.float32)
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def weights(self, name: str, layer: nn.Conv2d | nn.Linear) -> tuple[str, str]:
        """Names of weight and bias."""
        assert layer.bias is not None
        return (
            self.constant(f"{name}.weight", layer.weight),
            self.constant(f"{name}.bias", layer.bias),
        )

    def model(self, num_logits: int) -> onnx.ModelProto:
        """The checked model."""
        images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", _SIDE, _SIDE, 3])
        outputs = [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", num_logits]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", FEATURES]),
        ]
        graph = helper.make_graph(self._nodes, "avatars-judge", [images], outputs, self._weights)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def check_against_torch(model: onnx.ModelProto, network: JudgeNetwork) -> None:
    """Raise JudgeMismatchError unless both give the same numbers for noise images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_CHECKED, _SIDE, _SIDE, 3), dtype=np.uint8)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = session.run(["logits", "features"], {"images": images})
    for name, have, want in zip(("logits", "features"), found, wanted, strict=True):
        difference = float(np.abs(have - want.numpy()).max())
        if not difference <= TOLERANCE:  # NaN is a mismatch too
            raise JudgeMismatchError(
                f"{name}: differs from torch by {difference:.2g}, allowed is {TOLERANCE}"
            )
