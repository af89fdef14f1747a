"""A stored generator in ONNX Runtime: the same latents to the same images, without torch.

Knows nothing about exporting or serving. A provider that is asked for and not there is an error:
ONNX Runtime itself would go on on the CPU in silence.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from editing import expect_shape
from model_store.cards import ModelCard
from model_store.errors import OnnxError
from model_store.generators import Generator, NoiseMode
from model_store.onnx_binding import run_bound
from model_store.store import GENERATOR_FILE, StoredModel

MAPPING_FILE = "mapping.onnx"
SYNTHESIS_FILE = "synthesis.onnx"
_COLOURS = 3  # of an image
GENERATOR_KEY = "gradctrl.generator_sha256"  # in the metadata of both files: what they were made of
Provider = Literal["cpu", "cuda", "tensorrt"]
PROVIDERS: Mapping[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


class OnnxGenerator:
    """Sessions of both networks; satisfies Generator."""

    def __init__(
        self,
        model: StoredModel,
        synthesis: onnxruntime.InferenceSession,
        mapping: onnxruntime.InferenceSession | None,
    ) -> None:
        self._model = model
        self._synthesis = synthesis
        self._mapping = mapping  # None: the edit space is z itself
        self._labelled = mapping is not None and len(mapping.get_inputs()) > 2
        self._is_on_cpu = synthesis.get_providers()[0] == PROVIDERS["cpu"]

    @property
    def card(self) -> ModelCard:
        """Facts about the network."""
        return self._model.card

    def mapping(
        self, z: Tensor, c: Tensor | None = None, psi: float = 1.0, cutoff: int | None = None
    ) -> Tensor:  # [N, L, C]
        """Latents [N, L, C] of z [N, z_dim]; `c` as the model has classes, `cutoff` None or L."""
        expect_shape("z", z, (None, self.card.z_dim))
        if self._mapping is None:
            return (z * psi).unsqueeze(1)
        if (c is not None) != self._labelled:
            raise ValueError("c: expected class labels for a conditional model, None for others")
        feeds: dict[str, Any] = {"z": _array(z), "psi": np.array(psi, np.float32)}
        if c is not None:
            feeds["c"] = _array(c)
        truncated, whole = (torch.from_numpy(one) for one in self._mapping.run(None, feeds))
        if cutoff is None:
            return truncated
        return torch.cat([truncated[:, :cutoff], whole[:, cutoff:]], dim=1)

    def synthesis(self, latents: Tensor, noise_mode: NoiseMode = "const") -> Tensor:
        """Images [N, 3, H, W], float32, of latents [N, L, C]; noise is constant.

        They are where the latents are, but on the CPU if the session is.
        """
        if noise_mode != "const":
            raise ValueError("noise_mode: an ONNX synthesis holds its noise; expected 'const'")
        expect_shape("latents", latents, (None, *self.card.latent_shape))
        if self._is_on_cpu:
            latents = latents.cpu()
        side = self.card.resolution
        given = latents.detach().float().contiguous()
        return run_bound(self._synthesis, given, (len(given), _COLOURS, side, side))

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Generator:
        """The torch generator: sessions stay on the device of their provider."""
        return self._model.generator().to(device, dtype)

    def state(self) -> dict[str, Tensor]:
        """Tensors by canonical name."""
        return self._model.generator().state()


def open_onnx(model: StoredModel, provider: Provider, threads: int, gpu: int = 0) -> OnnxGenerator:
    """The stored sessions on a provider; OnnxError says what is missing and how to get it."""
    if SYNTHESIS_FILE not in model.card.files:
        raise OnnxError(
            f"{model.tag} has no {SYNTHESIS_FILE}; run: gradctrl export-onnx {model.card.name}"
        )
    synthesis = _checked(model, SYNTHESIS_FILE, provider, threads, gpu)
    has_mapping = MAPPING_FILE in model.card.files
    mapping = _checked(model, MAPPING_FILE, "cpu", threads) if has_mapping else None
    return OnnxGenerator(model, synthesis, mapping)


def open_session(
    file: Path | bytes, provider: Provider, threads: int, gpu: int = 0
) -> onnxruntime.InferenceSession:
    """A session on this very provider; OnnxError if it is not there or does not start.

    Single operations that a provider lacks still run on the CPU, as ONNX Runtime decides.
    """
    name = PROVIDERS[provider]
    available = onnxruntime.get_available_providers()
    if name not in available:
        raise OnnxError(f"ONNX Runtime has no {name} here; it has: {', '.join(available)}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; what it falls back to is asked below
    try:
        where = {} if provider == "cpu" else {"device_id": gpu}
        session = onnxruntime.InferenceSession(file, options, providers=[(name, where)])
    except Exception as error:  # of a type that its C++ side makes up
        raise OnnxError(f"{name} cannot run this model: {error}") from error
    if session.get_providers()[0] != name:
        raise OnnxError(f"{name} did not start; ONNX Runtime would use {session.get_providers()}")
    return session


def _checked(
    model: StoredModel, name: str, provider: Provider, threads: int, gpu: int = 0
) -> onnxruntime.InferenceSession:
    session = open_session(model.path / name, provider, threads, gpu)
    made_of = session.get_modelmeta().custom_metadata_map.get(GENERATOR_KEY)
    if made_of != model.card.files[GENERATOR_FILE]:
        raise OnnxError(
            f"{model.tag}: {name} was made of another generator; run: gradctrl export-onnx "
            f"{model.card.name}"
        )
    return session


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)
