"""torch.onnx.export as used here: quiet, with a dynamic batch, and nothing of this machine kept.

Knows no network.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from export.errors import ExportError


class OnnxMismatchError(ExportError):
    """An exported network that does not compute what the torch one computes."""


def trace(
    network: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str]
) -> onnx.ModelProto:
    """The network as ONNX; of every input that has axes the first is the batch.

    Raises whatever torch's exporter raises, which is of many types.
    """
    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            network,
            (),
            kwargs=dict(inputs),
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes={name: {0: batch} if one.ndim else {} for name, one in inputs.items()},
        )
    assert program is not None  # always a program with dynamo=True
    return _without_metadata(program.model_proto)


@contextmanager
def _quiet() -> Iterator[None]:
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registry.level
    registry.setLevel(logging.ERROR)  # it reports each operator of torchvision, which is not used
    try:
        with warnings.catch_warnings():
            # Torch 2.13 copies its own deprecated tree specs.
            warnings.filterwarnings("ignore", r".*LeafSpec", FutureWarning)
            # Inputs that share the batch are meant to share its name.
            warnings.filterwarnings("ignore", r".*axis name", UserWarning)
            yield
    finally:
        registry.setLevel(level)


def _without_metadata(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's stack traces, which hold paths of this machine."""
    graph = model.graph
    named = (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in (model, graph, *named):
        part.ClearField("metadata_props")
    return model
