"""Stored generators as ONNX files: mapping and synthesis, compared with torch before they count.

The batch is dynamic, the noise constant. Knows nothing about serving.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from export.errors import ExportError
from export.onnx_tracing import OnnxMismatchError, trace
from model_store import (
    GENERATOR_FILE,
    GENERATOR_KEY,
    MAPPING_FILE,
    PROVIDERS,
    SYNTHESIS_FILE,
    Generator,
    OnnxCard,
    Provider,
    StoredModel,
    open_session,
    save_files,
)

TOLERANCE = 1e-3  # of w and of pixels in -1..1
COMPARED_WITH: Provider = "cpu"
TRACED = 2  # samples of the trace
CHECKED = (1, 3)  # samples of the comparison: no batch size of the trace
PSI = 0.7  # of the comparison


@dataclass(frozen=True)
class OnnxFile:
    """One exported and compared network."""

    name: str
    opset: int
    nodes: int
    megabytes: float
    error: float  # largest absolute difference from torch

    @property
    def card(self) -> OnnxCard:
        """What the model's card says of it: nothing that another run would find otherwise."""
        return OnnxCard(
            opset=self.opset, compared_with=PROVIDERS[COMPARED_WITH], tolerance=TOLERANCE
        )


class _Synthesis(nn.Module):
    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self._generator = generator

    def forward(self, latents: Tensor) -> Tensor:
        return self._generator.synthesis(latents)


class _Mapping(nn.Module):
    """w_plus with all layers truncated, and with none, so that a cutoff can be chosen later."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self._generator = generator
        self._mean = generator.state()["mapping.w_avg"]

    def forward(self, z: Tensor, psi: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        whole = self._generator.mapping(z, c)
        return self._mean + psi * (whole - self._mean), whole


def export_onnx(model: StoredModel) -> tuple[StoredModel, list[OnnxFile]]:
    """A new version of the model with its ONNX files.

    Raises OnnxMismatchError where one differs from torch by more than TOLERANCE, ExportError where
    the exporter cannot translate the network; then nothing is stored.
    """
    generator = model.generator()
    found: dict[str, bytes] = {}
    reports: list[OnnxFile] = []
    with torch.no_grad():
        for name, (network, inputs) in _networks(model, generator).items():
            proto = _exported(name, network, inputs)
            _record(proto, model)
            found[name] = proto.SerializeToString()
            reports.append(_compared(name, proto, found[name], network, inputs))
    with tempfile.TemporaryDirectory(prefix="gradctrl-onnx-") as folder:
        files = {name: Path(folder) / name for name in found}
        for name, path in files.items():
            path.write_bytes(found[name])
        onnx_cards = {one.name: one.card for one in reports}
        return save_files(model, files, model.card.model_copy(update={"onnx": onnx_cards})), reports


def _networks(
    model: StoredModel, generator: Generator
) -> dict[str, tuple[nn.Module, dict[str, Tensor]]]:
    """Each network with its named inputs; a model that edits in z has no mapping."""
    card = model.card
    latents = torch.zeros(TRACED, *card.latent_shape)
    networks: dict[str, tuple[nn.Module, dict[str, Tensor]]] = {
        SYNTHESIS_FILE: (_Synthesis(generator).eval(), {"latents": latents})
    }
    if card.num_ws is not None:
        inputs = {"z": torch.ones(TRACED, card.z_dim), "psi": torch.tensor(PSI)}
        if card.c_dim:
            inputs["c"] = torch.zeros(TRACED, card.c_dim)
        networks[MAPPING_FILE] = (_Mapping(generator).eval(), inputs)
    return networks


def _exported(name: str, network: nn.Module, inputs: Mapping[str, Tensor]) -> onnx.ModelProto:
    outputs = ["images"] if name == SYNTHESIS_FILE else ["truncated", "whole"]
    try:
        return trace(network, inputs, outputs)
    except Exception as error:  # of many types, all of them "this network cannot be exported"
        first = str(error).strip().splitlines()[0]
        raise ExportError(f"{name}: torch cannot export this network: {first}") from error


def _record(proto: onnx.ModelProto, model: StoredModel) -> None:
    """Say in the file what it was made of."""
    facts = {
        GENERATOR_KEY: model.card.files[GENERATOR_FILE],
        "gradctrl.torch": torch.__version__,
        "gradctrl.compared_with": PROVIDERS[COMPARED_WITH],
        "gradctrl.tolerance": f"{TOLERANCE:g}",
    }
    onnx.helper.set_model_props(proto, facts)


def _compared(
    name: str, proto: onnx.ModelProto, data: bytes, network: nn.Module, inputs: Mapping[str, Tensor]
) -> OnnxFile:
    session = open_session(data, COMPARED_WITH, torch.get_num_threads())
    error = 0.0
    for samples in CHECKED:
        generator = torch.manual_seed(samples)
        feeds = {
            key: torch.randn(samples, *value.shape[1:], generator=generator)
            if value.ndim
            else value
            for key, value in inputs.items()
        }
        expected = network(**feeds)
        expected = expected if isinstance(expected, tuple) else (expected,)
        answers = session.run(None, {key: value.numpy() for key, value in feeds.items()})
        for ours, theirs in zip(answers, expected, strict=True):
            error = max(error, float((torch.from_numpy(ours) - theirs).abs().max()))
    if not error <= TOLERANCE:  # NaN is no match either
        raise OnnxMismatchError(
            f"{name}: differs from torch by {error:.2g}, allowed {TOLERANCE:g}; nothing was stored"
        )
    opset = next(one.version for one in proto.opset_import if not one.domain)
    return OnnxFile(name, opset, len(proto.graph.node), len(data) / 1e6, error)
