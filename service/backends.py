"""What computes images: torch, torch.compile or ONNX Runtime, by the settings. Knows no request.

Inversion needs gradients and stylespace needs styles, which only torch has: a runner with another
backend loads the torch generator beside it when the first such request comes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model_store import (
    PROVIDERS,
    Generator,
    NoiseMode,
    OnnxGenerator,
    Provider,
    StoredModel,
    open_onnx,
)
from service.images import EncodeFrames, encode_frames
from service.nvjpeg import open_nvjpeg
from service.processes import batch_size_of, choose_device
from service.rendering import LoadedGenerator
from service.settings import DTYPES, JpegEncoder, Settings
from service.transfers import CudaTransfers, DirectTransfers, Transfers


@dataclass(frozen=True)
class Backend:
    """How the generators of a process are run."""

    name: str  # of the setting
    provider: Provider | None  # of ONNX Runtime
    device: torch.device
    dtype: torch.dtype
    batch_size: int
    threads: int
    jpeg_encoder: JpegEncoder

    @classmethod
    def of(cls, config: Settings) -> "Backend":
        """That of the settings."""
        device = choose_device(config)
        return cls(
            config.backend,
            onnx_provider(config),
            device,
            DTYPES[config.dtype],
            batch_size_of(config, device),
            torch.get_num_threads(),
            config.jpeg_encoder,
        )

    @property
    def provider_name(self) -> str:
        """Of the metrics."""
        return "torch" if self.provider is None else PROVIDERS[self.provider]

    @property
    def images_device(self) -> torch.device:
        """Where latents go and images come out, to be made uint8 there."""
        return torch.device("cpu") if self.provider == "cpu" else self.device

    def transfers(self) -> Transfers:
        """How latents and pixels go."""
        if self.images_device.type == "cuda":
            return CudaTransfers(self.images_device)
        return DirectTransfers()

    def encode_frames(self) -> EncodeFrames:
        """What makes files of frames; NoNvJpegError where nvJPEG is asked for and missing."""
        if self.jpeg_encoder == "nvjpeg":
            return open_nvjpeg(self.device).encode_frames
        return encode_frames

    def load(self, model: StoredModel) -> LoadedGenerator:
        """The generator of a model, ready to work; OnnxError where ONNX Runtime cannot."""
        if self.provider is not None:
            gpu = self.device.index or 0
            sessions = open_onnx(model, self.provider, self.threads, gpu)
            return LoadedGenerator(sessions, self.images_device)
        generator = model.generator().to(self.device, self.dtype)
        if self.name == "torch-compile":
            compiled = _Compiled(generator, self.batch_size)
            compiled.warm_up(self.device)
            return LoadedGenerator(compiled, self.device)
        return LoadedGenerator(generator, self.device)

    def in_torch(self, loaded: LoadedGenerator) -> LoadedGenerator:
        """The same generator in plain torch."""
        generator = loaded.generator
        if isinstance(generator, _Compiled):
            return LoadedGenerator(generator.plain, self.device)
        if isinstance(generator, OnnxGenerator):
            return LoadedGenerator(generator.to(self.device, self.dtype), self.device)
        return loaded


class _Compiled:
    """A generator whose synthesis torch.compile has translated; satisfies Generator.

    Every number of images would be translated for itself, when the first request with it comes; so
    there are two, one and a whole batch, translated at start, and others are filled up.
    """

    def __init__(self, plain: Generator, batch_size: int) -> None:
        self.plain = plain
        self.card = plain.card
        self.mapping = plain.mapping
        self.state = plain.state
        self.to = plain.to
        self._batch_size = batch_size
        self._run = torch.compile(plain.synthesis, fullgraph=True, dynamic=False)

    def synthesis(self, latents: Tensor, noise_mode: NoiseMode = "const") -> Tensor:
        """Images [N, 3, H, W] of latents [N, L, C], N up to a batch."""
        images = len(latents)
        size = 1 if images == 1 else self._batch_size
        filled = torch.cat([latents, latents[:1].expand(size - images, -1, -1)])
        return self._run(filled, noise_mode)[:images]

    def warm_up(self, device: torch.device) -> None:
        """Translate both sizes."""
        for size in (1, self._batch_size):
            # made as requests are: a tensor of inference mode would count as another kind
            latents = torch.zeros(size, *self.card.latent_shape, device=device)
            with torch.inference_mode():
                self.synthesis(latents)


def onnx_provider(config: Settings) -> Provider | None:
    """Where ONNX Runtime is asked to compute; None with another backend."""
    if config.backend != "onnx":
        return None
    if config.onnx_provider != "auto":
        return config.onnx_provider
    return "cuda" if choose_device(config).type == "cuda" else "cpu"
