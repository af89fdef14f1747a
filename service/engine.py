"""One path for every transport: spec in, runner calls (walk, render), events or a result out.

Knows nothing about HTTP or gRPC. A call keeps no state here. A call that ends early, by a deadline
or because its caller went away, tells the runners to drop what is left of it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from model_store import Starts
from service import metrics
from service.admission import Gate
from service.batcher import even_share
from service.calls import Call
from service.errors import ApiError, raise_refusal
from service.images import Encoding
from service.inverting import InversionProgress, Inverted, Inverting
from service.specs import InversionSpec, ServedCard, WalkSpec

_OUTCOMES = {True: "reached", False: "not_reached", None: "unread"}  # of a report's `reached`

# Of the reconstruction of an edit's photo: one for all edits, so that they share an inversion.
_UNSEEN = Encoding("png", quality=90, size=None)


class Runner(Protocol):
    """The async client of a runner: every method takes a payload and answers a dict."""

    def __getattr__(self, method: str) -> Any: ...


@dataclass(frozen=True)
class Walked:
    """The walk of an edit."""

    latents: np.ndarray  # [F, L, C]
    probabilities: np.ndarray  # [F, A, K]
    reports: list[dict[str, Any]]  # one per edit
    styles: np.ndarray | None = None  # [F, S], offsets of the styles; None: none is moved


@dataclass(frozen=True)
class Frame:
    """One rendered frame; `index` is its place in the walk."""

    index: int
    image: bytes


@dataclass(frozen=True)
class Timings:
    """The end of an edit, and what took how long."""

    timings_ms: dict[str, float]


@dataclass(frozen=True)
class Generated:
    """Images of seeds or latents."""

    images: list[bytes]
    latents: np.ndarray  # [N, L, C]


@dataclass(frozen=True)
class _Deadline:
    """A call with the time on this loop's clock when it must be answered."""

    request_id: str
    until: float
    timeout_s: float


class Engine:
    """Runs specs on the two runners within the limits of the settings."""

    def __init__(
        self,
        classifier: Runner,
        generator: Runner,
        gate: Gate,
        timeout_s: float,
        inverting: Inverting,
    ) -> None:
        self.gate = gate
        self._classifier = classifier
        self._generator = generator
        self._timeout_s = timeout_s
        self._inverting = inverting
        self._telling: set[asyncio.Task[None]] = set()  # kept, or the loop forgets them

    async def edit_frames(
        self,
        served: ServedCard,
        spec: WalkSpec,
        encoding: Encoding,
        final_only: bool,
        call: Call,
        chunk: int | None = None,
        animation: bool = False,
        photo: InversionSpec | None = None,
    ) -> AsyncGenerator[Inverted | Walked | Frame | Timings, None]:
        """The walk, then frames as they are rendered, up to `chunk` in one call, then the timings.

        Without `chunk` all frames are rendered in one call; an animation is a single frame. With a
        photo, the walk starts from its latent, which comes first.
        """
        with (
            self._counted(served, spec) as reports,
            self.gate.admitted(),
            _observed(served) as seconds,
        ):
            deadline = self._deadline(call)
            started = time.perf_counter()
            look: dict[str, Any] = {}  # of this request's own generator and photo
            if photo is not None:
                with _timed(seconds, "inversion"):
                    inverted = await self._latent_of(served, photo, deadline)
                spec = replace(spec, start=Starts(latents=inverted.latents))
                look = {"pivot": inverted.pivot, "paste": inverted.paste}
                yield inverted
            with _timed(seconds, "trajectory"):
                walked = await self._walk(served, spec, deadline)
            reports += walked.reports
            yield walked
            indices = self._indices(walked, final_only)
            if chunk:
                chunk = even_share(len(indices), chunk, served.card.resolution)
            for some in _chunks(indices, None if animation else chunk):
                with _timed(seconds, "render"):
                    images = await self._render(
                        served, walked, some, len(indices), encoding, animation, deadline, look
                    )
                for index, image in zip(some, images, strict=False):
                    with self.gate.lent():  # its reader may take its time
                        yield Frame(index, image)
            metrics.RENDER_SECONDS.labels(served.card.name).observe(seconds["render"])
            yield Timings(_milliseconds(**seconds, total=time.perf_counter() - started))

    async def edit(
        self,
        served: ServedCard,
        spec: WalkSpec,
        encoding: Encoding,
        final_only: bool,
        call: Call,
        animation: bool = False,
        photo: InversionSpec | None = None,
    ) -> list[Inverted | Walked | Frame | Timings]:
        """All events of an edit, rendered in one call."""
        events = self.edit_frames(served, spec, encoding, final_only, call, None, animation, photo)
        async with aclosing(events):
            return [event async for event in events]

    async def invert(
        self, served: ServedCard, spec: InversionSpec, encoding: Encoding, call: Call
    ) -> AsyncGenerator[InversionProgress | Inverted, None]:
        """Progress of an inversion, then its result."""
        with self.gate.admitted():
            async with aclosing(
                self._inversion(served, spec, encoding, self._deadline(call))
            ) as events:
                async for event in events:
                    with self.gate.lent():
                        yield event

    async def generate(
        self, served: ServedCard, starts: Starts, encoding: Encoding, call: Call
    ) -> Generated:
        """Images of seeds, or of latents."""
        payload = {
            "tag": served.tag,
            "starts": asdict(starts),
            "encoding": asdict(encoding),
            "animation": False,
        }
        with self.gate.admitted():
            answer = await self._ask(self._generator.generate, payload, self._deadline(call))
        return Generated(answer["images"], answer["latents"])

    async def score(self, served: ServedCard, starts: Starts, call: Call) -> np.ndarray:
        """Probabilities [N, A, K] of latents of the edit space."""
        payload = {"tag": served.tag, "latents": starts.latents}
        with self.gate.admitted():
            answer = await self._ask(self._classifier.score, payload, self._deadline(call))
        return answer["probabilities"]

    async def direction(self, spec: WalkSpec, call: Call) -> dict[str, Any]:
        """Unit direction [C] of the spec's only edit and what was masked."""
        payload = {"spec": spec.as_payload()}
        with self.gate.admitted():
            return await self._ask(self._classifier.direction, payload, self._deadline(call))

    async def hold_runners(self, holder: str, seconds: float) -> None:
        """Have both runners work through a SIGTERM; 0 seconds let go of them."""
        payload = {"holder": holder, "seconds": seconds}
        runners = (self._classifier, self._generator)
        await asyncio.gather(*(runner.hold(payload) for runner in runners))

    def _inversion(
        self, served: ServedCard, spec: InversionSpec, encoding: Encoding, deadline: _Deadline
    ) -> AsyncGenerator[InversionProgress | Inverted, None]:
        async def ask(payload: dict[str, Any]) -> dict[str, Any]:
            return await self._ask(self._generator.invert, payload, deadline)

        return self._inverting.run(served, spec, encoding, ask)

    async def _latent_of(
        self, served: ServedCard, spec: InversionSpec, deadline: _Deadline
    ) -> Inverted:
        async with aclosing(self._inversion(served, spec, _UNSEEN, deadline)) as events:
            async for event in events:
                if isinstance(event, Inverted):
                    return event
        raise AssertionError("an inversion ends with its result")

    async def _walk(self, served: ServedCard, spec: WalkSpec, deadline: _Deadline) -> Walked:
        payload = {"spec": spec.as_payload()}
        with metrics.TRAJECTORY_SECONDS.labels(served.card.name).time():
            path = await self._ask(self._classifier.walk, payload, deadline)
        return Walked(path["latents"], path["probabilities"], path["edits"], path["styles"])

    async def _render(
        self,
        served: ServedCard,
        walked: Walked,
        indices: Sequence[int],
        num_frames: int,
        encoding: Encoding,
        animation: bool,
        deadline: _Deadline,
        look: dict[str, Any],
    ) -> list[bytes]:
        payload = {
            "tag": served.tag,
            "latents": walked.latents[indices],
            "styles": None if walked.styles is None else walked.styles[indices],
            "num_frames": num_frames,  # of the whole edit: its batches do not depend on chunks
            "encoding": asdict(encoding),
            "animation": animation,
            **look,
        }
        return (await self._ask(self._generator.render, payload, deadline))["images"]

    async def _ask(
        self, method: Any, payload: dict[str, Any], deadline: _Deadline
    ) -> dict[str, Any]:
        """A runner's answer in time; when the call ends early, the runners are told."""
        left = deadline.until - asyncio.get_running_loop().time()
        payload = {**payload, "request_id": deadline.request_id, "budget_s": max(left, 0.0)}
        try:
            async with asyncio.timeout_at(deadline.until):
                return raise_refusal(await method(payload))
        except TimeoutError as error:
            self._tell_runners(deadline.request_id)
            message = f"not done within {deadline.timeout_s:g} s"
            raise ApiError("deadline_exceeded", message) from error
        except asyncio.CancelledError:
            self._tell_runners(deadline.request_id)
            raise

    def _tell_runners(self, request_id: str) -> None:
        for runner in (self._classifier, self._generator):
            task = asyncio.create_task(_cancel(runner, request_id))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    def _deadline(self, call: Call) -> _Deadline:
        timeout_s = self._timeout_s if call.ceiling_s is None else call.ceiling_s
        if call.timeout_s is not None:
            timeout_s = min(timeout_s, call.timeout_s)
        return _Deadline(call.request_id, asyncio.get_running_loop().time() + timeout_s, timeout_s)

    def _indices(self, walked: Walked, final_only: bool) -> list[int]:
        frames = len(walked.latents)
        return [frames - 1] if final_only else list(range(frames))

    @contextmanager
    def _counted(self, served: ServedCard, spec: WalkSpec) -> Iterator[list[dict[str, Any]]]:
        """Count the outcomes of an edit by the reports that are put into the list."""
        reports: list[dict[str, Any]] = []
        outcomes = ["cancelled"] * len(spec.edits)
        try:
            yield reports
            outcomes = [_OUTCOMES[one["reached"]] for one in reports]
        except ApiError as error:
            outcomes = [error.code] * len(spec.edits)
            raise
        except Exception:  # not that the caller went away: those are no Exceptions
            outcomes = ["internal"] * len(spec.edits)
            raise
        finally:
            for edit, outcome in zip(spec.edits, outcomes, strict=True):
                attribute = served.attribute_names[edit.attribute]
                metrics.EDITS.labels(served.card.name, attribute, edit.method, outcome).inc()


@contextmanager
def _observed(served: ServedCard) -> Iterator[dict[str, float]]:
    """Seconds of an edit by what was worked on, whose sum is observed in the end.

    What its reader takes between frames is none of them.
    """
    seconds: dict[str, float] = {}
    try:
        yield seconds
    finally:
        metrics.EDIT_SECONDS.labels(served.card.name).observe(sum(seconds.values()))


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add what this takes to the seconds of a name."""
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began


async def _cancel(runner: Runner, request_id: str) -> None:
    """Best effort: a runner that cannot be reached has nothing to drop."""
    try:
        await runner.cancel({"request_id": request_id})
    except Exception:
        return


def _chunks(indices: Sequence[int], size: int | None) -> list[Sequence[int]]:
    step = size or len(indices)
    return [indices[i : i + step] for i in range(0, len(indices), step)]


def _milliseconds(**seconds: float) -> dict[str, float]:
    return {name: value * 1000 for name, value in seconds.items()}
