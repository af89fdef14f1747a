"""service/backends.py: where images are made; on the real service the same edits, or an error."""

import base64
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from export.onnx_export import export_onnx
from model_store import Provider, StoredModel, save_files
from service.backends import Backend
from tests.servers import ROOT, free_port, running_server

OLD: dict[str, Any] = {"attribute": "age", "target": "old", "steps": 3}


@pytest.fixture(scope="module")
def exported(tiny_lines: StoredModel) -> StoredModel:
    card = tiny_lines.card.model_copy(update={"name": "tiny-served-onnx"})
    return export_onnx(save_files(tiny_lines, {}, card))[0]


def post(url: str, path: str, body: dict[str, Any]) -> Any:
    answer = httpx.post(f"{url}{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pixels(image: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image)))).astype(int)


def answers(url: str) -> dict[str, Any]:
    """Edits that need each of what a backend may lack."""
    photo = post(url, "/v1/generate", {"seeds": [3]})["images"][0]
    return {
        "seed": post(url, "/v1/edit", {"source": {"seed": 5}, "edits": [OLD]}),
        "styles": post(
            url, "/v1/edit", {"source": {"seed": 5}, "edits": [{**OLD, "method": "stylespace"}]}
        ),
        "photo": post(
            url,
            "/v1/edit",
            {"source": {"image": photo}, "edits": [OLD], "inversion": {"steps": 10}},
        ),
        "metrics": httpx.get(f"{url}/metrics").text,
    }


def flat(scores: dict[str, dict[str, float] | None]) -> list[float | None]:
    """All numbers of the scores of a frame; of a frame that nobody can read there are none."""
    return [score for classes in scores.values() if classes for score in classes.values()]


@pytest.mark.parametrize(
    ("provider", "device", "images"),
    [
        ("cpu", "cpu", "cpu"),
        ("cpu", "cuda", "cpu"),  # torch has a GPU that ONNX Runtime is not to use
        ("cuda", "cuda:1", "cuda:1"),
        ("tensorrt", "cuda", "cuda"),
        ("cuda", "cpu", "cpu"),  # of a torch without CUDA: the session copies
    ],
)
def test_images_of_onnx_stay_on_the_device_of_torch(
    provider: Provider, device: str, images: str
) -> None:
    backend = Backend("onnx", provider, torch.device(device), torch.float32, 9, 1, "pillow")
    assert backend.images_device == torch.device(images)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "provider", "most"),  # by how much scores may differ
    [("onnx", "CPUExecutionProvider", 0.0), ("torch-compile", "torch", 1e-6)],
)
def test_another_backend_gives_the_same_edits(
    exported: StoredModel,
    bentoml_home: Path,
    tmp_path: Path,
    backend: str,
    provider: str,
    most: float,
) -> None:
    found = {}
    for name in ("torch", backend):
        log = tmp_path / f"{name}.txt"
        settings = {"GRADCTRL_BACKEND": name}
        with running_server(bentoml_home, log, "--models", exported.card.name, **settings) as url:
            found[name] = answers(url)
    assert f'backend="{backend}"' in found[backend]["metrics"]
    assert f'provider="{provider}"' in found[backend]["metrics"]
    for what in ("seed", "styles", "photo"):
        ours, theirs = found[backend][what]["frames"], found["torch"][what]["frames"]
        assert len(ours) == len(theirs) == 4
        for one, other in zip(ours, theirs, strict=True):
            assert np.abs(pixels(one["image"]) - pixels(other["image"])).max() <= 1
            if what != "photo":
                assert flat(one["scores"]) == pytest.approx(flat(other["scores"]), abs=most)


@pytest.mark.parametrize(
    ("model", "environment", "says"),
    [
        ("tiny-lines", {}, "run: gradctrl export-onnx tiny-lines"),
        ("tiny-served-onnx", {"GRADCTRL_ONNX_PROVIDER": "cuda"}, "CUDAExecutionProvider"),
        ("tiny-served-onnx", {"GRADCTRL_ONNX_PROVIDER": "tensorrt"}, "TensorrtExecutionProvider"),
        (
            "tiny-lines",
            {"GRADCTRL_BACKEND": "torch", "GRADCTRL_CUDA_GRAPHS": "8", "GRADCTRL_DEVICE": "cpu"},
            "error: GRADCTRL_CUDA_GRAPHS: CUDA graphs: expected a CUDA device, got cpu",
        ),
        (
            "tiny-lines",
            {
                "GRADCTRL_BACKEND": "torch",
                "GRADCTRL_JPEG_ENCODER": "nvjpeg",
                "GRADCTRL_DEVICE": "cpu",
            },
            "error: GRADCTRL_JPEG_ENCODER: nvjpeg needs a CUDA device, got cpu",
        ),
    ],
)
def test_serve_does_not_fall_back(
    exported: StoredModel, bentoml_home: Path, model: str, environment: dict[str, str], says: str
) -> None:
    command = [sys.executable, "-m", "service", "--models", model, "--grpc-port", "0"]
    found = subprocess.run(
        [*command, "--port", str(free_port())],
        cwd=ROOT,
        env={
            **os.environ,
            "BENTOML_HOME": str(bentoml_home),
            "GRADCTRL_BACKEND": "onnx",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 1
    assert says in found.stderr
    assert "Traceback" not in found.stderr
