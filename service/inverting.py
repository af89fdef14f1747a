"""Inversions as the API sees them: an image in, pieces of work at the runner, a latent out.

A search is cut into short calls that carry its whole state: between them the runner renders for
others, deadlines and cancels take effect, progress shows, and any runner may take the next one.
Knows nothing about tensors.
"""

import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from service import metrics
from service.cache import AnswerCache, digest
from service.errors import ApiError
from service.images import Encoding
from service.specs import InversionSpec, ServedCard

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]  # of the runner's `invert`


@dataclass(frozen=True)
class InversionProgress:
    """How far a search is."""

    step: int
    steps: int
    error: float  # mean squared error of pixels in 0..1


@dataclass(frozen=True)
class Inverted:
    """The end of an inversion."""

    latents: np.ndarray  # [1, L, C]
    reconstruction: bytes
    errors: dict[str, Any]  # fields of InversionErrors
    steps_taken: int
    is_aligned: bool
    seconds: float
    paste: dict[str, Any] | None  # photo and placement, for pasting back
    pivot: dict[str, Any] | None  # what a runner needs to tune its generator again

    @property
    def size(self) -> int:
        """About the bytes that it takes in memory."""
        arrays = [self.latents, *(self.paste or {}).values(), *(self.pivot or {}).values()]
        found = sum(one.nbytes for one in arrays if isinstance(one, np.ndarray))
        return found + len(self.reconstruction)


class Inverting:
    """Inverts images, and remembers the last ones by their bytes."""

    def __init__(self, cache: AnswerCache[Inverted]) -> None:
        self._cache = cache

    async def run(
        self, served: ServedCard, spec: InversionSpec, encoding: Encoding, ask: Ask
    ) -> AsyncGenerator[InversionProgress | Inverted, None]:
        """Progress, then the result; ApiError when it is too far from the image."""
        key = _key(served, spec, encoding)
        inverted = self._cache.get(key)
        if inverted is None:
            started = time.perf_counter()
            with metrics.INVERSION_SECONDS.labels(served.card.name, spec.mode).time():
                payload: dict[str, Any] = {
                    "tag": served.tag,
                    "spec": {**asdict(spec), "image": None},
                    "encoding": asdict(encoding),
                    "image": spec.image,
                }
                while not (answer := await ask(payload))["done"]:
                    yield InversionProgress(answer["step"], answer["steps"], answer["error"])
                    payload = {**payload, "image": None, "carried": answer["carried"]}
            inverted = _inverted(answer, time.perf_counter() - started)
            self._cache.put(key, inverted, inverted.size)
        else:
            inverted = replace(inverted, seconds=0.0)
        _expect_close(spec, inverted)
        yield inverted


def _inverted(answer: dict[str, Any], seconds: float) -> Inverted:
    return Inverted(
        answer["latents"],
        answer["reconstruction"],
        answer["errors"],
        answer["steps_taken"],
        answer["is_aligned"],
        seconds,
        answer["paste"],
        answer["pivot"],
    )


def _expect_close(spec: InversionSpec, inverted: Inverted) -> None:
    error, limit = inverted.errors["mse"], spec.max_error
    if limit is None or error <= limit:
        return
    perceptual = inverted.errors["perceptual"]
    others = "" if perceptual is None else f", perceptual {perceptual:.3f}"
    message = (
        f"the reconstruction is too far from the image: mean squared error {error:.4f}{others} "
        f"after {inverted.steps_taken} steps, at most {limit:.4f}; "
        "the model may not know such images"
    )
    raise ApiError("inversion_failed", message, spec.field, [limit])


def _key(served: ServedCard, spec: InversionSpec, encoding: Encoding) -> str:
    image = hashlib.sha256(spec.image).hexdigest()
    knobs = (spec.mode, spec.steps, spec.space, spec.align, spec.keeps_photo)
    return digest("inversion", served.tag, image, repr(knobs), repr(encoding))
