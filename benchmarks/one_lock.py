"""The server that people write first: FastAPI, one model, one lock around walk, synthesis and PNG.

A peer for benchmarks/service.py, on the same engine. `python -m benchmarks.one_lock MODEL PORT`
"""

import base64
import io
import sys
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI
from PIL import Image

from export.strips import LocalModel, edit_seed, load_local
from model_store import find_model, keep_freed_memory, plan_edit
from service.images import PNG_LEVEL


def build(name: str) -> FastAPI:
    """POST /v1/edit with the body of the real one (a seed and one edit), GET /readyz."""
    stored = find_model(name)
    model, lock = load_local(stored), threading.Lock()
    app = FastAPI()

    @app.post("/v1/edit")
    def edit(body: dict[str, Any]) -> dict[str, Any]:  # in FastAPI's pool of threads
        wish = body["edits"][0]
        with lock:
            return _answer(model, body["source"]["seed"], wish)

    @app.get("/readyz")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    def _answer(local: LocalModel, seed: int, wish: dict[str, Any]) -> dict[str, Any]:
        planned = plan_edit(stored.card, wish["attribute"], wish["target"], wish["steps"])
        edited = edit_seed(local, seed, planned, stored.card.truncation)
        return {"frames": [{"image": _png(frame)} for frame in edited.frames]}

    return app


def _png(pixels: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=PNG_LEVEL)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    keep_freed_memory()
    uvicorn.run(build(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")
