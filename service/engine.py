"""One path for every transport: spec in, two awaits (walk, render), result out.

Knows nothing about HTTP or gRPC. Immutable after construction; a call keeps no state here.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from model_store import Starts
from service import metrics
from service.errors import ApiError, raise_refusal
from service.images import Encoding
from service.specs import ServedCard, WalkSpec

METHOD = "gradctrl"


class Runner(Protocol):
    """The async client of a runner: every method takes a payload and answers a dict."""

    def __getattr__(self, method: str) -> Any: ...


@dataclass(frozen=True)
class Edited:
    """The outcome of an edit."""

    frames: list[int]  # indices of the walk's frames that were rendered
    images: list[bytes]  # one per frame, or one animation
    latents: np.ndarray  # [F, L, C]
    probabilities: np.ndarray  # [F, A, K]
    reports: list[dict[str, Any]]  # one per edit
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class Generated:
    """Images of seeds or latents."""

    images: list[bytes]
    latents: np.ndarray  # [N, L, C]


class Engine:
    """Runs specs on the two runners within the limits of the settings."""

    def __init__(
        self,
        served: Sequence[ServedCard],
        classifier: Runner,
        generator: Runner,
        max_in_flight: int,
        timeout_s: float,
    ) -> None:
        self.served = tuple(served)
        self._classifier = classifier
        self._generator = generator
        self._slots = asyncio.Semaphore(max_in_flight)
        self._timeout_s = timeout_s

    async def edit(
        self,
        served: ServedCard,
        spec: WalkSpec,
        encoding: Encoding,
        final_only: bool,
        animation: bool = False,
    ) -> Edited:
        """Walk, then render all frames or the last one."""
        name = served.card.name
        with metrics.EDIT_SECONDS.labels(name).time():
            try:
                async with self._admitted():
                    edited = await self._edit(name, spec, encoding, final_only, animation)
            except ApiError as error:
                self._count(served, spec, [error.code] * len(spec.edits))
                raise
        outcomes = ["reached" if r["reached"] else "not_reached" for r in edited.reports]
        self._count(served, spec, outcomes)
        return edited

    async def generate(self, served: ServedCard, starts: Starts, encoding: Encoding) -> Generated:
        """Images of seeds, or of latents."""
        payload = {
            "tag": served.tag,
            "starts": asdict(starts),
            "encoding": asdict(encoding),
            "animation": False,
        }
        async with self._admitted():
            answer = raise_refusal(await self._generator.generate(payload))
        return Generated(answer["images"], answer["latents"])

    async def score(self, served: ServedCard, starts: Starts) -> np.ndarray:
        """Probabilities [N, A, K] of latents of the edit space."""
        payload = {"tag": served.tag, "latents": starts.latents}
        async with self._admitted():
            answer = await self._classifier.score(payload)
        return raise_refusal(answer)["probabilities"]

    async def direction(self, spec: WalkSpec) -> dict[str, Any]:
        """Unit direction [C] of the spec's only edit and what was masked."""
        async with self._admitted():
            return raise_refusal(await self._classifier.direction(spec.as_payload()))

    async def _edit(
        self, name: str, spec: WalkSpec, encoding: Encoding, final_only: bool, animation: bool
    ) -> Edited:
        started = time.perf_counter()
        with metrics.TRAJECTORY_SECONDS.labels(name).time():
            path = raise_refusal(await self._classifier.walk(spec.as_payload()))
        walked = time.perf_counter()
        latents = path["latents"]
        frames = [len(latents) - 1] if final_only else list(range(len(latents)))
        payload = {
            "tag": spec.tag,
            "latents": latents[frames],
            "encoding": asdict(encoding),
            "animation": animation,
        }
        with metrics.RENDER_SECONDS.labels(name).time():
            rendered = raise_refusal(await self._generator.render(payload))
        ended = time.perf_counter()
        timings = {
            "trajectory": (walked - started) * 1000,
            "render": (ended - walked) * 1000,
            "total": (ended - started) * 1000,
        }
        return Edited(
            frames, rendered["images"], latents, path["probabilities"], path["edits"], timings
        )

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        """A slot and a deadline for one request, or an ApiError at once."""
        if self._slots.locked():
            raise ApiError("overloaded", "too many requests in flight; try again")
        async with self._slots:
            try:
                async with asyncio.timeout(self._timeout_s):
                    yield
            except TimeoutError as error:
                message = f"not done within {self._timeout_s:g} s"
                raise ApiError("deadline_exceeded", message) from error

    def _count(self, served: ServedCard, spec: WalkSpec, outcomes: Sequence[str]) -> None:
        for edit, outcome in zip(spec.edits, outcomes, strict=True):
            attribute = served.attribute_names[edit.attribute]
            metrics.EDITS.labels(served.card.name, attribute, METHOD, outcome).inc()
