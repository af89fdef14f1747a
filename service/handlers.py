"""What every transport calls: a request model in, an answer model out, an ApiError on refusal.

REST, gRPC, SSE and jobs differ in nothing but how they carry these models. Deterministic answers
are kept by the request (service/cache.py); the call's id and timings are its own every time.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from model_store import Starts
from service import answers, specs
from service.answer_schema import (
    DirectionsAnswer,
    EditBodyAnswer,
    EditSummary,
    FrameAnswer,
    GenerateAnswer,
    InvertAnswer,
    ModelsAnswer,
    ScoreAnswer,
    ServedModel,
)
from service.budget import Budget
from service.cache import AnswerCache, digest
from service.calls import Call
from service.catalogue import Catalogue
from service.engine import Engine, Frame, Walked
from service.errors import ApiError
from service.idempotency import Idempotency
from service.images import MEDIA_TYPES, Encoding
from service.inverting import InversionProgress, Inverted
from service.provenance import SERVICE_VERSION
from service.schema import (
    DirectionsBody,
    EditBody,
    EditImageBody,
    GenerateBody,
    InvertBody,
    ScoreBody,
)
from service.specs import InversionSpec, ServedCard, WalkSpec

BYTES_PER_NUMBER = 32  # of a Python float in a list; what an answer takes in memory

AnyAnswer = (
    EditBodyAnswer | GenerateAnswer | ScoreAnswer | DirectionsAnswer | InvertAnswer
)  # what the cache holds beside images
Kept = TypeVar("Kept", EditBodyAnswer, GenerateAnswer, "ImageAnswer")
AnyBody = EditBody | GenerateBody | ScoreBody | DirectionsBody | InvertBody


@dataclass(frozen=True)
class ImageAnswer:
    """An encoded image or animation."""

    image: bytes
    media_type: str


@dataclass(frozen=True)
class _Asked:
    """An edit request that was read: every name is known, every bound holds."""

    served: ServedCard
    spec: WalkSpec
    encoding: Encoding
    final_only: bool
    key: str  # equal for equal requests of one version of a model
    animation: bool = False
    photo: InversionSpec | None = None  # that the edit starts from


class Handlers:
    """The API without a transport."""

    def __init__(
        self,
        engine: Engine,
        catalogue: Catalogue,
        cache: AnswerCache[AnyAnswer | ImageAnswer],
        idempotency: Idempotency,
        stream_chunk: int,
        budget: Budget,
    ) -> None:
        self.engine = engine
        self._catalogue = catalogue
        self._cache = cache
        self._idempotency = idempotency
        self._stream_chunk = stream_chunk  # frames of one render call of a stream
        self._budget = budget

    def models(self) -> ModelsAnswer:
        """The served model cards."""
        return ModelsAnswer(
            models=[
                ServedModel(
                    **served.card.model_dump(),
                    tag=served.tag,
                    default=index == 0,
                    methods={method: list(found) for method, found in served.offers.items()},
                )
                for index, served in enumerate(self._catalogue.served)
            ]
        )

    def name_of(self, kind: str, body: AnyBody) -> str:
        """The name of a request's answer, equal for equal requests; known before any work."""
        served = specs.choose_model(self._catalogue.served, body.model)
        return _key(kind, served, body)

    async def edit(self, body: EditBody, call: Call) -> EditBodyAnswer:
        """Edit a latent along attribute directions: all frames in one answer."""
        asked = self._read_edit(body)
        return await self._once("edit", body, call, lambda: self._edit(asked, call))

    async def edit_stream(
        self, body: EditBody, call: Call
    ) -> AsyncGenerator[FrameAnswer | EditSummary, None]:
        """Frames as they are rendered, then the summary."""
        asked = self._read_edit(body)
        started = time.perf_counter()
        kept = self._cache.get(asked.key)
        if isinstance(kept, EditBodyAnswer):
            answer = _own(kept, call, started)
            for frame in answer.frames:
                yield frame
            yield answers.summary_of(answer)
            return
        async with aclosing(self._edit_events(asked, call, self._stream_chunk)) as events:
            async for event in events:
                yield event

    async def edit_image(self, body: EditImageBody, call: Call) -> ImageAnswer:
        """The final image, or all frames as one animation."""
        served = specs.choose_model(self._catalogue.served, body.model)
        asked = _Asked(
            served,
            self._walk(served, body),
            specs.image_encoding(body),
            not body.animation,
            _key("edit_image", served, body),
            body.animation,
            specs.photo_spec(served, body),
        )
        return await self._once("edit_image", body, call, lambda: self._edit_image(asked, call))

    async def invert(
        self, body: InvertBody, call: Call
    ) -> AsyncGenerator[InversionProgress | InvertAnswer, None]:
        """Progress, then the latent of an image."""
        served = specs.choose_model(self._catalogue.served, body.model)
        spec, encoding = specs.invert_spec(served, body), specs.encoding(body.output)
        async with aclosing(self.engine.invert(served, spec, encoding, call)) as events:
            async for event in events:
                if isinstance(event, Inverted):
                    yield answers.invert_answer(call.request_id, served, spec, event)
                else:
                    yield event

    async def inverted(self, body: InvertBody, call: Call) -> InvertAnswer:
        """The latent of an image, its reconstruction and errors."""
        async with aclosing(self.invert(body, call)) as events:
            async for event in events:
                if isinstance(event, InvertAnswer):
                    return event
        raise AssertionError("an inversion ends with its result")

    async def generate(self, body: GenerateBody, call: Call) -> GenerateAnswer:
        """Images and latents of seeds, or images of latents."""
        served = specs.choose_model(self._catalogue.served, body.model)
        return await self._once("generate", body, call, lambda: self._generate(served, body, call))

    async def score(self, body: ScoreBody, call: Call) -> ScoreAnswer:
        """Class probabilities of latents, per attribute."""
        served = specs.choose_model(self._catalogue.served, body.model)
        starts = specs.score_starts(served, body)
        return answers.score_answer(served, await self.engine.score(served, starts, call))

    async def directions(self, body: DirectionsBody, call: Call) -> DirectionsAnswer:
        """The unit direction at a latent, and what was masked."""
        served = specs.choose_model(self._catalogue.served, body.model)
        spec = specs.direction_spec(served, body)
        return answers.directions_answer(served, spec, await self.engine.direction(spec, call))

    def num_frames(self, body: EditBody) -> int:
        """The most frames that an edit can have; ApiErrors as `edit` raises them."""
        return 1 if body.frames == "final" else self._read_edit(body).spec.max_frames

    def expect_valid(self, body: AnyBody, prefix: str) -> None:
        """Raise what the body's handler would refuse at once; `prefix` goes before its fields."""
        served = specs.choose_model(self._catalogue.served, body.model, f"{prefix}model")
        try:
            if isinstance(body, EditBody):
                self._read_edit(body)
            elif isinstance(body, GenerateBody):
                self._starts(served, body)
                specs.encoding(body.output)
            elif isinstance(body, ScoreBody):
                specs.score_starts(served, body)
            elif isinstance(body, InvertBody):
                specs.invert_spec(served, body)
                specs.encoding(body.output)
            else:
                specs.direction_spec(served, body)
        except ApiError as error:
            raise error.within(prefix) from error

    async def _once(
        self, kind: str, body: AnyBody, call: Call, work: Callable[[], Awaitable[Kept]]
    ) -> Kept:
        """The first answer of the call's key; a key goes by the request as it was sent."""
        if call.idempotency_key is None:
            return await work()  # large bodies are not hashed for nothing
        sent = digest(kind, body)
        return await self._idempotency.once(call.idempotency_key, sent, work, size_of, call.caller)

    def _walk(self, served: ServedCard, body: EditBody) -> WalkSpec:
        spec = specs.walk_spec(served, body)
        self._budget.expect_walk(spec)
        return spec

    def _starts(self, served: ServedCard, body: GenerateBody) -> Starts:
        self._budget.expect_images(body)
        return specs.generate_starts(served, body)

    def _read_edit(self, body: EditBody) -> _Asked:
        served = specs.choose_model(self._catalogue.served, body.model)
        return _Asked(
            served,
            self._walk(served, body),
            specs.encoding(body.output),
            body.frames == "final",
            _key("edit", served, body),
            photo=specs.photo_spec(served, body),
        )

    async def _edit(self, asked: _Asked, call: Call) -> EditBodyAnswer:
        started = time.perf_counter()
        kept = self._cache.get(asked.key)
        if isinstance(kept, EditBodyAnswer):
            return _own(kept, call, started)
        frames: list[FrameAnswer] = []
        async with aclosing(self._edit_events(asked, call, None)) as events:
            async for event in events:
                if isinstance(event, FrameAnswer):
                    frames.append(event)
                else:
                    return answers.whole_edit(event, frames)
        raise AssertionError("an edit ends with its summary")

    async def _edit_events(
        self, asked: _Asked, call: Call, chunk: int | None
    ) -> AsyncGenerator[FrameAnswer | EditSummary, None]:
        """Frames, then the summary; the whole answer is kept for equal requests."""
        inverted: Inverted | None = None
        walked: Walked | None = None
        frames: list[FrameAnswer] = []
        engine, served = self.engine, asked.served
        events = engine.edit_frames(
            served,
            asked.spec,
            asked.encoding,
            asked.final_only,
            call,
            chunk,
            photo=asked.photo,
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Inverted):
                    inverted = event
                    continue
                if isinstance(event, Walked):
                    walked = event
                    continue
                assert walked is not None, "an edit starts with its walk"
                if isinstance(event, Frame):
                    frames += answers.frame_answers(served, walked, [event])
                    yield frames[-1]
                    continue
                timings = event.timings_ms
        assert walked is not None, "an edit starts with its walk"
        summary = answers.edit_summary(call.request_id, served, asked.spec, walked, timings)
        if inverted is not None and asked.photo is not None:
            report = answers.inversion_answer(asked.photo, inverted)
            summary = summary.model_copy(update={"inversion": report})
        whole = answers.whole_edit(summary, frames)
        self._cache.put(asked.key, whole, size_of(whole))
        yield summary

    async def _edit_image(self, asked: _Asked, call: Call) -> ImageAnswer:
        kept = self._cache.get(asked.key)
        if isinstance(kept, ImageAnswer):
            return kept
        events = await self.engine.edit(
            asked.served,
            asked.spec,
            asked.encoding,
            asked.final_only,
            call,
            asked.animation,
            asked.photo,
        )
        image = next(event.image for event in events if isinstance(event, Frame))
        answer = ImageAnswer(image, MEDIA_TYPES[asked.encoding.format])
        self._cache.put(asked.key, answer, size_of(answer))
        return answer

    async def _generate(self, served: ServedCard, body: GenerateBody, call: Call) -> GenerateAnswer:
        starts, encoding = self._starts(served, body), specs.encoding(body.output)
        key = _key("generate", served, body)
        kept = self._cache.get(key)
        if isinstance(kept, GenerateAnswer):
            return kept
        generated = await self.engine.generate(served, starts, encoding, call)
        answer = answers.generate_answer(served, generated)
        self._cache.put(key, answer, size_of(answer))
        return answer


def size_of(answer: AnyAnswer | ImageAnswer) -> int:
    """About the bytes that an answer takes in memory."""
    if isinstance(answer, ImageAnswer):
        return len(answer.image)
    if isinstance(answer, EditBodyAnswer):
        scores = sum(len(row) for frame in answer.frames for row in frame.scores.values())
        numbers = scores + _count(answer.latent.values)
        return BYTES_PER_NUMBER * numbers + sum(len(frame.image) for frame in answer.frames)
    if isinstance(answer, GenerateAnswer):
        numbers = sum(_count(latent.values) for latent in answer.latents)
        return BYTES_PER_NUMBER * numbers + sum(len(image) for image in answer.images)
    return len(answer.model_dump_json())


def _count(values: list[object]) -> int:
    return sum(len(row) if isinstance(row, list) else 1 for row in values)


def _key(kind: str, served: ServedCard, body: AnyBody) -> str:
    named = body.model_copy(update={"model": served.tag})  # however the client called the model
    return digest(kind, SERVICE_VERSION, named)


def _own(kept: EditBodyAnswer, call: Call, started: float) -> EditBodyAnswer:
    """A kept answer as the answer of this call."""
    total = round((time.perf_counter() - started) * 1000, 3)
    timings = {"trajectory": 0.0, "render": 0.0, "total": total}
    return kept.model_copy(update={"request_id": call.request_id, "timings_ms": timings})
