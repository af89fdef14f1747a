"""The two BentoML services that the API depends on. They know nothing about HTTP or names.

Payloads are dicts of plain values and arrays (BentoML pickles them between processes); domain
errors cross as values, because BentoML loses the class of an exception.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import bentoml
import numpy as np
import torch

from model_store import Starts, StoredModel, find_model, models_to_serve
from service import metrics
from service.batcher import Batcher, BatchLimits, QueueFullError
from service.errors import Refusal
from service.images import Encoding
from service.processes import choose_device, settle_garbage_collector
from service.rendering import LoadedGenerator, compress, latents_of, synthesise
from service.settings import Settings, settings
from service.specs import WalkSpec
from service.walking import LoadedHeads, find_direction, score_all, walk_all

# On every service that others depend on: by default BentoML closes the client session every 100
# requests and fails what is in flight (docs/decisions.md).
CONNECTION = {"max_requests": 10**9, "max_age": 1e9}
TRAFFIC = {"timeout": 620.0}  # beyond the longest timeout_s, which the API enforces itself
LOGGING = {"access": {"enabled": False}}
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_ENCODERS = 2

Answer = TypeVar("Answer")


def _limits(config: Settings) -> BatchLimits:
    return BatchLimits(config.max_batch_size, config.max_batch_wait_ms / 1000, config.max_queue)


async def _counted(runner: str, call: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """The answer of a call, counted in flight; a full queue becomes a refusal."""
    in_flight = metrics.IN_FLIGHT.labels(runner)
    in_flight.inc()
    try:
        return await call()
    except QueueFullError as error:
        return Refusal("overloaded", f"{runner} has no room: {error}").as_payload()
    finally:
        in_flight.dec()


def _describe(model: StoredModel, device: torch.device) -> None:
    metrics.MODEL_INFO.labels(
        model.card.name, model.version, model.card.family, "torch", str(device), "torch"
    ).set(1)


@bentoml.service(
    name="classifier_runner",
    workers=1,
    runner_connection=CONNECTION,
    traffic=TRAFFIC,
    logging=LOGGING,
)
class ClassifierRunner:
    """Heads, Jacobian rows, whole trajectories."""

    name = "classifier"

    def __init__(self) -> None:
        config = settings()
        self._device = choose_device(config)
        if self._device.type == "cpu":
            torch.set_num_threads(1)  # walks are small; the cores belong to the synthesis
        self._loaded: dict[str, LoadedHeads] = {}
        for model in models_to_serve(config.models):
            self._load(model)
        depth = metrics.QUEUE_DEPTH.labels(self.name)
        self._batcher: Batcher[WalkSpec, dict[str, Any]] = Batcher(
            self._walk_batch, _limits(config), depth.set
        )
        settle_garbage_collector()

    @bentoml.api
    async def walk(self, payload: Any) -> Any:
        """Latents, probabilities and reports of one walk."""
        spec = WalkSpec.from_payload(payload)
        return await _counted(self.name, lambda: self._batcher.submit(spec.tag, spec))

    @bentoml.api
    async def score(self, payload: Any) -> Any:
        """Probabilities [N, A, K] of latents [N, L, C]."""
        found = await asyncio.to_thread(score_all, self._get(payload["tag"]), payload["latents"])
        return {"probabilities": found}

    @bentoml.api
    async def direction(self, payload: Any) -> Any:
        """The first direction of a one-edit walk."""
        spec = WalkSpec.from_payload(payload)
        return await asyncio.to_thread(find_direction, self._get(spec.tag), spec)

    def _walk_batch(self, tag: Hashable, specs: list[WalkSpec]) -> list[dict[str, Any]]:
        with torch.inference_mode():
            return walk_all(self._get(str(tag)), specs)

    def _get(self, tag: str) -> LoadedHeads:
        """A loaded model; the API may have started on a newer version than this process."""
        if tag not in self._loaded:
            self._load(find_model(tag))
        return self._loaded[tag]

    def _load(self, model: StoredModel) -> None:
        heads = model.stacked_heads()
        if heads is not None:
            classes = tuple(len(attribute.classes) for attribute in model.card.attributes)
            heads = heads.to(self._device, torch.float32)
            self._loaded[model.tag] = LoadedHeads(heads, model.mapper(), classes)


@bentoml.service(
    name="generator_runner",
    workers=1,
    runner_connection=CONNECTION,
    traffic=TRAFFIC,
    logging=LOGGING,
)
class GeneratorRunner:
    """Mapping, synthesis and encoding: pixels leave compressed."""

    name = "generator"

    def __init__(self) -> None:
        config = settings()
        self._device = choose_device(config)
        self._dtype = _DTYPES[config.dtype]
        self._max_batch_size = config.max_batch_size
        self._encoders = ThreadPoolExecutor(max_workers=_ENCODERS)
        self._loaded: dict[str, LoadedGenerator] = {}
        for model in models_to_serve(config.models):
            self._load(model)
        depth = metrics.QUEUE_DEPTH.labels(self.name)
        self._batcher: Batcher[np.ndarray, np.ndarray] = Batcher(
            self._render_batch, _limits(config), depth.set
        )
        settle_garbage_collector()

    @bentoml.api
    async def render(self, payload: Any) -> Any:
        """Compressed frames of latents [F, L, C]."""
        return await _counted(self.name, lambda: self._render(payload, payload["latents"]))

    @bentoml.api
    async def generate(self, payload: Any) -> Any:
        """Latents [N, L, C] of starts and their compressed images."""
        return await _counted(self.name, lambda: self._generate(payload))

    async def _generate(self, payload: dict[str, Any]) -> dict[str, Any]:
        loaded = self._get(payload["tag"])
        starts = Starts(**payload["starts"])
        latents = await asyncio.to_thread(latents_of, loaded, starts)
        return {"latents": latents, **await self._render(payload, latents)}

    async def _render(self, payload: dict[str, Any], latents: np.ndarray) -> dict[str, Any]:
        pixels = await self._batcher.submit(payload["tag"], latents, size=len(latents))
        images = await asyncio.get_running_loop().run_in_executor(
            self._encoders, compress, pixels, Encoding(**payload["encoding"]), payload["animation"]
        )
        return {"images": images}

    def _render_batch(self, tag: Hashable, requests: list[np.ndarray]) -> list[np.ndarray]:
        loaded = self._get(str(tag))
        frames = sum(len(latents) for latents in requests)
        name = loaded.generator.card.name
        metrics.RENDER_BATCH_SIZE.labels(name).observe(frames)
        metrics.FRAMES.labels(name).inc(frames)
        return synthesise(loaded, requests)

    def _get(self, tag: str) -> LoadedGenerator:
        """A loaded model; the API may have started on a newer version than this process."""
        if tag not in self._loaded:
            self._load(find_model(tag))
        return self._loaded[tag]

    def _load(self, model: StoredModel) -> None:
        generator = model.generator().to(self._device, self._dtype)
        self._loaded[model.tag] = LoadedGenerator(generator, self._device, self._max_batch_size)
        _describe(model, self._device)
