"""The two BentoML services that the API depends on. They know nothing about HTTP or names.

Payloads are dicts of plain values and arrays (BentoML pickles them between processes); domain
errors cross as values, because BentoML loses the class of an exception.
"""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import bentoml
import numpy as np
import torch

from model_store import (
    Inverter,
    Starts,
    StoredModel,
    find_model,
    keep_freed_memory,
    load_inverter,
    load_repertoire,
    models_to_serve,
    share_one_heap,
)
from service import metrics
from service.backends import Backend
from service.batcher import Batcher, BatchLimits, even_share
from service.cancelling import Calls
from service.draining import Holds
from service.gpu_metrics import watch_gpus
from service.images import Encoding
from service.inversions import Inversions
from service.metrics_port import serve_metrics
from service.pins import models_of
from service.processes import (
    batch_size_of,
    choose_device,
    in_passing_thread,
    settle_garbage_collector,
    take_one_torch_thread,
)
from service.provenance import Provenance
from service.rendering import LoadedGenerator, Points, compress, latents_of, synthesise
from service.request_timers import end_timers_with_requests
from service.resident_models import ResidentModels, load_all, show_model
from service.settings import LONGEST_JOB_S, Settings, settings
from service.signing import signing_of
from service.specs import WalkSpec
from service.tracing import tracing_of
from service.walkers import Walker
from service.walking import LoadedHeads, find_direction, score_all, walk_all

end_timers_with_requests()  # here, because every worker imports this before BentoML builds it
TRACING = tracing_of(settings())
share_one_heap()  # now: once a server runs in this process, its threads have heaps of their own
# On every service that others depend on: by default BentoML closes the client session every 100
# requests and fails what is in flight (docs/decisions.md).
CONNECTION = {"max_requests": 10**9, "max_age": 1e9}
TRAFFIC = {"timeout": LONGEST_JOB_S + 20.0}  # beyond any call's own time, which Calls keeps to
LOGGING = {"access": {"enabled": False}}
_ENCODERS = 2
Found = TypeVar("Found")


def _limits(config: Settings, batch_size: int) -> BatchLimits:
    return BatchLimits(batch_size, config.max_batch_wait_ms / 1000, config.max_queue)


@bentoml.service(
    name="classifier_runner",
    workers=1,
    runner_connection=CONNECTION,
    traffic=TRAFFIC,
    logging=LOGGING,
    tracing=TRACING,
)
class ClassifierRunner:
    """Heads, Jacobian rows, whole trajectories."""

    name = "classifier"

    def __init__(self) -> None:
        config = settings()
        self._device = choose_device(config)
        self._batch_size = batch_size_of(config, self._device)
        if self._device.type == "cpu":
            take_one_torch_thread()  # walks are small; the cores belong to the synthesis
            self._batch_size = 1  # a filled batch costs a lone edit more than it saves the others
        self._walker = Walker.of(config, self._device, self._batch_size)
        self._calls = Calls(self.name)
        self._holds = Holds(lambda: self._calls.is_idle, config.drain_s)
        self._heads = ResidentModels(self._load)
        for model in models_to_serve(models_of(config)):
            self._heads.put(model.tag, self._read(model))
        depth = metrics.QUEUE_DEPTH.labels(self.name)
        self._batcher: Batcher[WalkSpec, dict[str, Any]] = Batcher(
            self._walk_batch, _limits(config, self._batch_size), depth.set
        )
        settle_garbage_collector()

    @bentoml.on_startup
    def start(self) -> None:
        """Work on through a SIGTERM while an API has accepted requests; show metrics."""
        self._holds.watch_sigterm()
        serve_metrics(settings().metrics_port, settings().metrics_host)

    @bentoml.api
    async def walk(self, payload: Any) -> Any:
        """Latents, probabilities and reports of one walk."""
        spec = WalkSpec.from_payload(payload["spec"])
        return await self._calls.run(payload, lambda: self._walk(spec))

    @bentoml.api
    async def score(self, payload: Any) -> Any:
        """Probabilities [N, A, K] of latents [N, L, C]."""
        return await self._calls.run(payload, lambda: self._score(payload))

    @bentoml.api
    async def direction(self, payload: Any) -> Any:
        """The first direction of a one-edit walk."""
        spec = WalkSpec.from_payload(payload["spec"])
        return await self._calls.run(payload, lambda: self._direction(spec))

    @bentoml.api
    async def cancel(self, payload: Any) -> Any:
        """Drop what is left of a request."""
        self._calls.cancel(payload["request_id"])
        return {}

    @bentoml.api
    async def load(self, payload: Any) -> Any:
        """Have models ready before a request asks for them."""
        return await load_all(self._heads.get, payload["tags"])

    @bentoml.api
    async def keep(self, payload: Any) -> Any:
        """Forget all models but these."""
        self._heads.keep(payload["tags"])
        return {}

    @bentoml.api
    async def hold(self, payload: Any) -> Any:
        """Keep working through a SIGTERM until the holder lets go."""
        self._holds.hold(payload["holder"], payload["seconds"])
        return {}

    async def _walk(self, spec: WalkSpec) -> dict[str, Any]:
        key = (await self._heads_of(spec.tag), spec.is_by_default)
        return await self._batcher.submit(key, spec)

    async def _score(self, payload: dict[str, Any]) -> dict[str, Any]:
        loaded = await self._heads_of(payload["tag"])
        return {"probabilities": await asyncio.to_thread(score_all, loaded, payload["latents"])}

    async def _direction(self, spec: WalkSpec) -> dict[str, Any]:
        return await asyncio.to_thread(find_direction, await self._heads_of(spec.tag), spec)

    def _walk_batch(self, key: Hashable, specs: list[WalkSpec]) -> list[dict[str, Any]]:
        assert isinstance(key, tuple)
        loaded, is_by_default = key
        with torch.inference_mode():
            if not is_by_default:  # other methods gain nothing from a batch
                return [walk_all(loaded, [spec])[0] for spec in specs]
            filling = [specs[0]] * (self._batch_size - len(specs))
            return walk_all(loaded, [*specs, *filling])[: len(specs)]

    async def _heads_of(self, tag: str) -> LoadedHeads:
        heads = await self._heads.get(tag)
        assert heads is not None, "what has no attributes is asked for none"
        return heads

    async def _load(self, tag: str) -> LoadedHeads | None:
        """The heads of a model, beside the work in hand; None where it has none."""
        return await asyncio.to_thread(lambda: self._read(find_model(tag)))

    def _read(self, model: StoredModel) -> LoadedHeads | None:
        if not model.card.attributes:
            return None
        classes = tuple(len(attribute.classes) for attribute in model.card.attributes)
        repertoire = load_repertoire(model, self._device)
        loaded = LoadedHeads(
            repertoire.heads, model.mapper(), classes, repertoire, self._walker.walk()
        )
        self._walker.warm_up(loaded, model)
        return loaded


@bentoml.service(
    name="generator_runner",
    workers=1,
    runner_connection=CONNECTION,
    traffic=TRAFFIC,
    logging=LOGGING,
    tracing=TRACING,
)
class GeneratorRunner:
    """Mapping, synthesis and encoding: pixels leave compressed."""

    name = "generator"

    def __init__(self) -> None:
        config = settings()
        if config.keep_freed_memory:
            keep_freed_memory()
        self._backend = Backend.of(config)
        self._batch_size = self._backend.batch_size
        self._transfers = self._backend.transfers()
        self._calls = Calls(self.name)
        self._holds = Holds(lambda: self._calls.is_idle, config.drain_s)
        self._encoders = ThreadPoolExecutor(max_workers=_ENCODERS)
        self._encode_frames = self._backend.encode_frames()
        self._threads = torch.get_num_threads()
        take_one_torch_thread()  # as in_passing_thread says, the team is that of the renderer
        self._helpers = ThreadPoolExecutor(initializer=take_one_torch_thread)
        self._sign = signing_of(config)
        self._inversions = Inversions(config.max_pixels, config.max_tuned, config.seed, self._sign)
        self._script = config.perceptual_network
        self._loaded = ResidentModels(self._load)
        self._in_torch = ResidentModels(self._load_in_torch)
        self._inverters = ResidentModels(self._load_inverter)
        for model in models_to_serve(models_of(config)):
            self._loaded.put(model.tag, self._read(model))
        depth = metrics.QUEUE_DEPTH.labels(self.name)
        self._batcher: Batcher[Points, np.ndarray] = Batcher(
            self._render_batch, _limits(config, self._batch_size), depth.set
        )
        settle_garbage_collector()

    @bentoml.on_startup
    def start(self) -> None:
        """Work on through a SIGTERM while an API has accepted requests; show metrics."""
        self._holds.watch_sigterm()
        serve_metrics(settings().metrics_port, settings().metrics_host)
        watch_gpus()

    @bentoml.api
    async def render(self, payload: Any) -> Any:
        """Compressed frames of latents [F, L, C], and of offsets [F, S] of their styles."""
        points = Points(payload["latents"], payload["styles"])
        return await self._calls.run(payload, lambda: self._render(payload, points))

    @bentoml.api
    async def invert(self, payload: Any) -> Any:
        """A piece of an inversion: progress and what to send back, or the latent."""
        return await self._calls.run(payload, lambda: self._invert(payload))

    @bentoml.api
    async def generate(self, payload: Any) -> Any:
        """Latents [N, L, C] of starts and their compressed images."""
        return await self._calls.run(payload, lambda: self._generate(payload))

    @bentoml.api
    async def cancel(self, payload: Any) -> Any:
        """Drop what is left of a request."""
        self._calls.cancel(payload["request_id"])
        return {}

    @bentoml.api
    async def load(self, payload: Any) -> Any:
        """Have models ready before a request asks for them."""
        return await load_all(self._loaded.get, payload["tags"])

    @bentoml.api
    async def keep(self, payload: Any) -> Any:
        """Forget all models but these."""
        for tag, gone in self._loaded.keep(payload["tags"]).items():
            show_model(tag, gone.generator.card, self._backend, is_loaded=False)
        self._in_torch.keep(payload["tags"])
        self._inverters.keep(payload["tags"])
        return {}

    @bentoml.api
    async def hold(self, payload: Any) -> Any:
        """Keep working through a SIGTERM until the holder lets go."""
        self._holds.hold(payload["holder"], payload["seconds"])
        return {}

    async def _generate(self, payload: dict[str, Any]) -> dict[str, Any]:
        loaded = await self._loaded.get(payload["tag"])
        starts = Starts(**payload["starts"])
        latents = await self._aside(latents_of, loaded, starts)
        return {"latents": latents, **await self._render(payload, Points(latents))}

    async def _invert(self, payload: dict[str, Any]) -> dict[str, Any]:
        inverter = await self._inverters.get(payload["tag"])
        return await self._inversions.invert(inverter, payload)

    async def _loaded_for(self, payload: dict[str, Any], moves_styles: bool) -> LoadedGenerator:
        """The model's generator, or the one that is tuned to the image of the request."""
        tag, pivot = payload["tag"], payload.get("pivot")
        if pivot is None and moves_styles:
            return await self._in_torch.get(tag)
        if pivot is None:
            return await self._loaded.get(tag)
        inverter = await self._inverters.get(tag)
        tuned = await self._inversions.tuned(inverter, pivot)
        return LoadedGenerator(tuned.generator, self._backend.device)

    async def _render(self, payload: dict[str, Any], points: Points) -> dict[str, Any]:
        """Images of latents, a batch at a time: what is left can be dropped."""
        loaded = await self._loaded_for(payload, points.styles is not None)
        resolution = loaded.generator.card.resolution
        frames = payload.get("num_frames", len(points))
        batch_size = even_share(frames, self._batch_size, resolution)
        sized = [(piece, len(piece)) for piece in points.split(batch_size)]
        key = (loaded, batch_size, points.styles is None)
        rendered = self._batcher.submit_all(key, sized)
        encoding, paste = Encoding(**payload["encoding"]), payload.get("paste")
        of = Provenance.of(loaded.generator.card)
        try:
            if payload["animation"]:
                pixels = [await piece for piece in rendered]
                together = np.concatenate(pixels)
                return {"images": await self._compress(together, encoding, True, of, paste)}
            images: list[bytes] = []
            for piece in rendered:
                images += await self._compress(await piece, encoding, False, of, paste)
            return {"images": images}
        finally:
            for piece in rendered:
                piece.cancel()

    async def _aside(self, work: Callable[..., Found], *arguments: Any) -> Found:
        """What `work` gives, beside the batches."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._helpers, work, *arguments)

    async def _compress(
        self,
        pixels: np.ndarray,
        encoding: Encoding,
        animation: bool,
        provenance: Provenance,
        paste: dict[str, Any] | None,
    ) -> list[bytes]:
        loop = asyncio.get_running_loop()
        finish = (self._encode_frames, self._sign, paste)
        return await loop.run_in_executor(
            self._encoders, compress, pixels, encoding, animation, provenance, *finish
        )

    def _render_batch(self, key: Hashable, pieces: list[Points]) -> list[np.ndarray]:
        assert isinstance(key, tuple)
        loaded, batch_size, _ = key
        torch.set_num_threads(self._threads)  # of this thread alone: all others have one
        frames = sum(len(piece) for piece in pieces)
        name = loaded.generator.card.name
        metrics.RENDER_BATCH_SIZE.labels(name).observe(frames)
        metrics.FRAMES.labels(name).inc(frames)
        return synthesise(loaded, pieces, batch_size, self._transfers)

    async def _load(self, tag: str) -> LoadedGenerator:
        """The generator of a model, beside the work in hand."""
        return await self._aside(lambda: self._read(find_model(tag)))

    def _read(self, model: StoredModel) -> LoadedGenerator:
        loaded = in_passing_thread(lambda: self._backend.load(model), self._threads)
        show_model(model.tag, model.card, self._backend, is_loaded=True)
        return loaded

    async def _load_in_torch(self, tag: str) -> LoadedGenerator:
        """A generator in plain torch, for gradients and for styles."""
        return await self._aside(self._backend.in_torch, await self._loaded.get(tag))

    async def _load_inverter(self, tag: str) -> Inverter:
        """What inverts a model's images; read when the first image comes."""
        loaded = await self._in_torch.get(tag)
        return await self._aside(
            lambda: load_inverter(find_model(tag), loaded.generator, loaded.device, self._script)
        )
