"""export/labelers/graph_model.py: small graphs against plain torch; what is unknown is refused."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from export.labelers.graph_model import GraphModelError, read_graph_model
from export.labelers.weight_manifest import WeightManifestError

IMAGES = torch.randn(3, 4, 7, 7, generator=torch.manual_seed(0))


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def node(name: str, op: str, *inputs: str, **attr: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "input": list(inputs), "attr": attr}


def ints(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def write(folder: Path, nodes: list[dict[str, Any]], **constants: np.ndarray) -> Path:
    """A graph model of an image input, constants and nodes."""
    weights, binary = [], b""
    for name, values in constants.items():
        weights.append({"name": name, "shape": list(values.shape), "dtype": str(values.dtype)})
        binary += values.tobytes()
    named = [node(name, "Const") for name in constants]
    model = {
        "modelTopology": {"node": [*nodes, *named, node("images", "Placeholder")]},
        "weightsManifest": [{"paths": ["model.bin"], "weights": weights}],
    }
    (folder / "model.bin").write_bytes(binary)
    (folder / "model.json").write_text(json.dumps(model))
    return folder / "model.json"


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


SQUARE = {"strides": ints(1, 2, 2, 1), "dilations": ints(1, 1, 1, 1)}


@pytest.mark.parametrize(("padding", "side"), [("SAME", 4), ("VALID", 3)])
def test_a_fused_convolution(tmp_path: Path, padding: str, side: int) -> None:
    fused = {"list": {"s": [text("BiasAdd")["s"], text("Relu")["s"]]}}
    one = node(
        "out", "_FusedConv2D", "images", "w", "b", padding=text(padding), fused_ops=fused, **SQUARE
    )
    weights, bias = normal(3, 3, 4, 5), normal(5)
    (found,) = read_graph_model(write(tmp_path, [one], w=weights, b=bias)).run(IMAGES, ["out"])
    padded = functional.pad(IMAGES, [1, 1, 1, 1]) if padding == "SAME" else IMAGES
    filters = torch.from_numpy(weights).permute(3, 2, 0, 1)
    expected = functional.conv2d(padded, filters, torch.from_numpy(bias), 2).relu()
    assert found.shape == (3, 5, side, side)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_depthwise_channels_pooling_and_a_head(tmp_path: Path) -> None:
    nodes = [  # in no order that could be run
        node("out", "MatMul", "flat", "head"),
        node("flat", "Reshape", "pooled", "shape"),
        node("pooled", "MaxPool", "sum", ksize=ints(1, 3, 3, 1), padding=text("SAME"), **SQUARE),
        node("sum", "AddV2", "depthwise", "bias"),
        node("depthwise", "DepthwiseConv2dNative", "pad", "w", padding=text("VALID"), **SQUARE),
        node("pad", "Pad", "images", "paddings"),
    ]
    weights, bias, head = normal(2, 2, 4, 2), normal(8), normal(2 * 2 * 8, 3)
    paddings = np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32)
    shape = np.array([-1, 32], np.int32)
    file = write(tmp_path, nodes, w=weights, bias=bias, head=head, paddings=paddings, shape=shape)
    padded = functional.pad(IMAGES, [0, 1, 1, 0])
    filters = torch.from_numpy(weights).permute(2, 3, 0, 1).reshape(8, 1, 2, 2)
    convolved = functional.conv2d(padded, filters, torch.from_numpy(bias), 2, groups=4)
    pooled = functional.max_pool2d(functional.pad(convolved, [0, 1, 0, 1], value=-torch.inf), 3, 2)
    expected = pooled.permute(0, 2, 3, 1).reshape(3, 32) @ torch.from_numpy(head)
    found, middle = read_graph_model(file).run(IMAGES, ["out", "pooled"])
    torch.testing.assert_close(middle, pooled)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_means_and_activations(tmp_path: Path) -> None:
    nodes = [
        node("mean", "Mean", "clipped", "axes"),
        node("clipped", "Minimum", "relu", "six"),
        node("relu", "Relu", "scaled"),
        node("scaled", "Mul", "images", "scale"),
        node("probability", "Softmax", "mean"),
        node("one", "Sigmoid", "mean"),
    ]
    scale, six = normal(4) * 4, np.array(6, np.float32)
    axes = np.array([1, 2], np.int32)
    file = write(tmp_path, nodes, scale=scale, six=six, axes=axes)
    mean, softmax, sigmoid = read_graph_model(file).run(IMAGES, ["mean", "probability", "one"])
    expected = (IMAGES * torch.from_numpy(scale)[:, None, None]).clamp(0, 6).mean(dim=(2, 3))
    torch.testing.assert_close(mean, expected)
    torch.testing.assert_close(softmax, expected.softmax(dim=1))
    torch.testing.assert_close(sigmoid, expected.sigmoid())


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("out", "Einsum", "images")], "operator Einsum is not supported"),
        ([node("out", "Relu", "lost")], "out: its inputs never come"),
        ([node("a", "Relu", "b"), node("b", "Relu", "a")], "a: its inputs never come"),
        ([node("a", "Relu", "images"), node("a", "Relu", "images")], "named alike"),
        ([node("out", "Const")], "out: no weights"),
        ([node("out", "MaxPool", "images", data_format=text("NCHW"))], "expected the layout NHWC"),
    ],
)
def test_graphs_that_cannot_be_run_are_refused(
    tmp_path: Path, nodes: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(GraphModelError, match=message):
        read_graph_model(write(tmp_path, nodes))


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (node("out", "MaxPool", "images", padding=text("EXPLICIT")), "padding 'EXPLICIT'"),
        (
            node("out", "MaxPool", "images", padding=text("SAME"), strides=ints(1, 2, 1, 1)),
            r"strides \[1, 2, 1, 1\] is not supported",
        ),
        (
            node("out", "MaxPool", "images", padding=text("SAME"), dilations=ints(1, 2, 2, 1)),
            "dilations are not supported",
        ),
        (
            node("out", "_FusedMatMul", "images", "images", transpose_b={"b": True}),
            "transposed products",
        ),
    ],
)
def test_options_that_are_not_known_are_refused(
    tmp_path: Path, one: dict[str, Any], message: str
) -> None:
    with pytest.raises(GraphModelError, match=message):
        read_graph_model(write(tmp_path, [one])).run(IMAGES, ["out"])


def test_files_that_are_no_graph_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphModelError, match=r"model\.json: not a graph model"):
        read_graph_model(tmp_path / "model.json")
    (tmp_path / "model.json").write_text('{"modelTopology": {"node": [{"name": 3}]}}')
    with pytest.raises(GraphModelError, match="not a graph model: Input should be"):
        read_graph_model(tmp_path / "model.json")
    file = write(tmp_path, [], w=normal(2, 2))
    (tmp_path / "model.bin").write_bytes(b"short")
    with pytest.raises(WeightManifestError, match="describes 16 bytes"):
        read_graph_model(file)
    with pytest.raises(GraphModelError, match="no operation 'nothing'"):
        read_graph_model(write(tmp_path, [])).run(IMAGES, ["nothing"])
