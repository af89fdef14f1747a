"""Small real objects that stand in for big ones: a 16 px DCGAN and StyleGAN2s, 16-channel heads."""

import hashlib
import io
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from editing import Head, Recording, Trajectory
from model_store import (
    AttributeCard,
    Dcgan,
    Directions,
    EditDefaults,
    Exclusion,
    ModelCard,
    Provenance,
    SideEffect,
    Stylegan2,
    Swap,
    movable_channels,
)
from model_store.networks.stylegan2_initial import Stylegan2Sizes, initial_tensors

Z_DIM = 16
RESOLUTION = 16
NUM_WS = 6  # of the 16 px StyleGAN2: 4, 8, 8, 16, 16 and the last ToRGB
CUTOFF = 4
NUM_CLASSES = 3
SMILES = ("not_smiling", "smiling")
ATTRIBUTES = (
    AttributeCard(
        name="smile",
        classes=SMILES,
        defaults=EditDefaults(
            steps=6, step_size=0.5, exclude=(Exclusion(attribute="age", top_k=3),)
        ),
        latent_std=0.8,
        side_effects=(
            SideEffect(
                target="smiling",
                attribute="hair",
                swaps=(Swap(lost="black", gained="blond", rate=0.02),),
                share=0.05,
            ),
        ),
    ),
    AttributeCard(name="age", classes=("young", "old")),
    AttributeCard(name="hair", classes=("black", "brown", "blond")),
)
PROVENANCE = Provenance(
    source="tests/doubles.py",
    source_sha256=hashlib.sha256(b"doubles").hexdigest(),
    licence="Apache-2.0",
)


def sequential_dcgan(seed: int = 0) -> nn.Sequential:
    """The PyTorch tutorial's layout with batch norms, in eval mode."""
    torch.manual_seed(seed)
    widths = (Z_DIM, 8, 6, 3)
    layers: list[nn.Module] = []
    for i in range(3):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(widths[i], widths[i + 1], 4, stride, padding, bias=False))
        if i < 2:
            norm = nn.BatchNorm2d(widths[i + 1])
            norm.running_mean = torch.randn(widths[i + 1])
            norm.running_var = torch.rand(widths[i + 1]) + 0.5
            nn.init.normal_(norm.weight, 1, 0.2)
            nn.init.normal_(norm.bias, 0, 0.2)
            layers += [norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.Tanh()).eval()


def tutorial_state(network: nn.Sequential) -> dict[str, Tensor]:
    """Its state dict under the names that the tutorial gives it."""
    return {f"main.{name}": tensor for name, tensor in network.state_dict().items()}


def make_card(name: str = "tiny", attributes: tuple[AttributeCard, ...] = ATTRIBUTES) -> ModelCard:
    """A card that fits `make_generator` and `make_heads`."""
    return ModelCard(
        name=name,
        family="dcgan",
        resolution=RESOLUTION,
        z_dim=Z_DIM,
        spaces=("z",),
        attributes=attributes,
        provenance=PROVENANCE,
    )


def make_style_card(name: str = "tiny-style", c_dim: int = 0) -> ModelCard:
    """A card that fits `make_style_generator` and `make_heads`."""
    return ModelCard(
        name=name,
        family="stylegan2",
        resolution=RESOLUTION,
        z_dim=Z_DIM,
        w_dim=Z_DIM,
        num_ws=NUM_WS,
        c_dim=c_dim,
        spaces=("w_plus",),
        truncation=0.8,
        truncation_cutoff=CUTOFF,
        attributes=ATTRIBUTES,
        provenance=PROVENANCE,
    )


def make_style_generator(card: ModelCard, seed: int = 0) -> Stylegan2:
    """A StyleGAN2 with random weights, noise and mean w."""
    generator = torch.Generator().manual_seed(seed)
    sizes = Stylegan2Sizes({4: 16, 8: 16, 16: 8}, Z_DIM, Z_DIM, card.c_dim, mapping_layers=2)
    tensors = initial_tensors(sizes, generator)
    tensors["mapping.w_avg"] = torch.randn(Z_DIM, generator=generator) * 0.3
    for name in tensors:
        if name.endswith("noise_strength"):
            tensors[name] = torch.tensor(0.2)
        elif "torgb.weight" in name:
            tensors[name] *= 0.3  # so that few pixels are clamped
    return Stylegan2(card, tensors)


def make_generator(card: ModelCard | None = None, seed: int = 0) -> Dcgan:
    """A DCGAN with random weights."""
    generator = torch.Generator().manual_seed(seed)
    widths = (Z_DIM, 8, 6, 3)
    weights = [
        torch.randn(widths[i], widths[i + 1], 4, 4, generator=generator) * 0.3 for i in range(3)
    ]
    biases = [torch.zeros(width) for width in widths[1:]]
    return Dcgan(card or make_card(), weights, biases)


def make_head(num_classes: int, seed: int, channels: int = Z_DIM, units: int = 8) -> Head:
    """A head with random weights."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1 if num_classes == 2 else num_classes
    return Head(
        torch.randn(units, channels, generator=generator) * 0.4,
        torch.randn(units, generator=generator) * 0.2,
        torch.randn(logits, units, generator=generator) * 0.6,
        torch.randn(logits, generator=generator) * 0.2,
    )


def make_heads(attributes: tuple[AttributeCard, ...] = ATTRIBUTES) -> dict[str, Head]:
    """One head per attribute."""
    return {a.name: make_head(len(a.classes), i) for i, a in enumerate(attributes)}


def make_directions(generator: Stylegan2) -> list[Directions]:
    """Directions of every baseline for age, and of InterFaceGAN and StyleSpace for smile."""
    young_old, channels = ("young", "old"), torch.eye(Z_DIM)
    movable = movable_channels(generator, torch.zeros(1, NUM_WS, Z_DIM)).nonzero()[:, 0]
    everything = torch.tensor([[0, NUM_WS]] * 2)
    lines = [
        Directions("interfacegan", "age", young_old, channels[[3, 4]], everything),
        Directions("interfacegan-conditional", "age", young_old, -channels[[3, 4]], everything),
        Directions("ganspace", "age", young_old, channels[[5, 6]], torch.tensor([[0, 1], [2, 4]])),
        Directions("interfacegan", "smile", SMILES, channels[[7, 8]], everything),
    ]
    for attribute, classes, first in (("age", young_old, 5), ("smile", SMILES, 9)):
        offsets = torch.zeros(2, len(movable_channels(generator, torch.zeros(1, NUM_WS, Z_DIM))))
        offsets[1, movable[[first, first + 40]]] = torch.tensor([2.0, -1.5])  # none towards class 0
        lines.append(Directions("stylespace", attribute, classes, offsets, everything))
    return lines


class Hand:
    """A clock that goes when it is told to."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def forward(self, seconds: float) -> None:
        """Set it on, or back by negative seconds."""
        self._now += seconds


class ScriptedServer:
    """A real HTTP server that answers what it was told to, one answer per request, in order."""

    def __init__(
        self,
        answers: Sequence[tuple[int, dict[str, str], bytes]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.asked: list[str] = []  # method and path of every request
        self.headers: list[dict[str, str]] = []
        script = iter(answers)
        asked, seen = self.asked, self.headers

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                asked.append(f"{self.command} {self.path}")
                seen.append({name.lower(): value for name, value in self.headers.items()})
                status, headers, body = next(script)
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> "ScriptedServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class OperationLog(TorchDispatchMode):
    """Names of torch's operations inside the block, and the devices of all that they touch."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []
        self.devices: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operation and remember it."""
        found = func(*args, **(kwargs or {}))
        self.names.append(func.name().removeprefix("aten::"))
        tensors = (one for one in tree_leaves((args, kwargs, found)) if isinstance(one, Tensor))
        self.devices |= {one.device.type for one in tensors}
        return found


class TapeRecorder:
    """A recorder without a graph: a replay runs again and leaves its numbers where a graph does."""

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0

    def record(self, run: Callable[[], Trajectory]) -> Recording:
        """Run once, as a capture does."""
        self.recorded += 1
        result = run()

        def replay() -> None:
            self.replayed += 1
            fresh = run()
            for field in fields(Trajectory):
                getattr(result, field.name).copy_(getattr(fresh, field.name))

        return Recording(result, replay)


class PillowCodec:
    """The used names of nvidia.nvimgcodec, on the CPU; the first `refused` frames make no file."""

    BackendKind = SimpleNamespace(GPU_ONLY="gpu", HYBRID_CPU_GPU="hybrid")
    QualityType = SimpleNamespace(QUALITY="quality")
    Backend = staticmethod(lambda kind: kind)
    EncodeParams = SimpleNamespace

    def __init__(self, refused: int = 0) -> None:
        self.refused = refused
        self.opened: dict[str, Any] = {}
        self.calls: list[int] = []  # frames of each

    def Encoder(self, **arguments: Any) -> "PillowCodec":  # noqa: N802
        """Itself: one encoder is enough."""
        self.opened = arguments
        return self

    def encode(
        self, images: list[Tensor], codec: str, params: SimpleNamespace
    ) -> list[bytes | None]:
        """Files without metadata."""
        assert (codec, params.quality_type) == (".jpg", "quality")
        self.calls.append(len(images))
        files: list[bytes | None] = [self._file(image, params.quality_value) for image in images]
        return [None] * self.refused + files[self.refused :]

    def _file(self, image: Tensor, quality: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image.numpy()).save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()


class LateTransfers:
    """Transfers whose copies happen when they are awaited, and a log of what was asked for."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def send(self, rows: Tensor, device: torch.device) -> Tensor:
        """A copy on the device."""
        self.log.append("send")
        return rows.to(device, copy=True)

    def fetch(self, pixels: Tensor) -> Callable[[], np.ndarray]:
        """A copy that is made when it is awaited."""
        self.log.append("fetch")

        def arrive() -> np.ndarray:
            self.log.append("arrive")
            return pixels.numpy().copy()

        return arrive


Bound = tuple[str, int, tuple[int, ...], int]  # device, its index, shape, address


class RecordingSession:
    """An ONNX session that notes what memory it is bound to, and computes nothing."""

    def __init__(self) -> None:
        self.inputs: dict[str, Bound] = {}
        self.outputs: dict[str, Bound] = {}
        self.runs = 0

    def get_inputs(self) -> list[SimpleNamespace]:
        """Of a synthesis."""
        return [SimpleNamespace(name="latents")]

    def get_outputs(self) -> list[SimpleNamespace]:
        """Of a synthesis."""
        return [SimpleNamespace(name="images")]

    def io_binding(self) -> "RecordingSession":
        """Itself: one binding is enough."""
        return self

    def bind_input(
        self, name: str, device: str, index: int, dtype: type, shape: tuple[int, ...], pointer: int
    ) -> None:
        """Note where an input is."""
        assert dtype is np.float32
        self.inputs[name] = (device, index, shape, pointer)

    def bind_output(
        self, name: str, device: str, index: int, dtype: type, shape: tuple[int, ...], pointer: int
    ) -> None:
        """Note where an output goes."""
        assert dtype is np.float32
        self.outputs[name] = (device, index, shape, pointer)

    def run_with_iobinding(self, binding: "RecordingSession") -> None:
        """Count."""
        assert binding is self
        self.runs += 1
