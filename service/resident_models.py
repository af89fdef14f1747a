"""The models that a runner holds: made ready, forgotten, shown to operators.

Knows nothing about what they compute.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from model_store import ModelCard, ModelStoreError
from service import metrics
from service.backends import Backend
from service.errors import Refusal

Held = TypeVar("Held")


class ResidentModels(Generic[Held]):
    """What a runner holds of each model, by tag: made once, however many ask for it meanwhile."""

    def __init__(self, make: Callable[[str], Coroutine[Any, Any, Held]]) -> None:
        self._make = make
        self._held: dict[str, Held] = {}
        self._making: dict[str, asyncio.Task[Held]] = {}

    def put(self, tag: str, held: Held) -> None:
        """Hold what was made already."""
        self._held[tag] = held

    async def get(self, tag: str) -> Held:
        """What is held of a model, once it is; the API may serve a newer one than this process."""
        if tag in self._held:
            return self._held[tag]
        if tag not in self._making:
            self._making[tag] = asyncio.create_task(self._make_and_hold(tag))
        return await asyncio.shield(self._making[tag])  # others may wait for it too

    def keep(self, tags: Sequence[str]) -> dict[str, Held]:
        """Forget all models but these; what was forgotten."""
        return {tag: self._held.pop(tag) for tag in self._held.keys() - set(tags)}

    async def _make_and_hold(self, tag: str) -> Held:
        try:
            held = await self._make(tag)
            self._held[tag] = held
            return held
        finally:
            del self._making[tag]  # one that failed is tried again by the next


async def load_all(load: Callable[[str], Awaitable[object]], tags: Sequence[str]) -> dict[str, Any]:
    """Nothing once all models are loaded; or a refusal."""
    try:
        for tag in tags:
            await load(tag)
    except ModelStoreError as error:
        return Refusal("internal", str(error)).as_payload()
    return {}


def show_model(tag: str, card: ModelCard, backend: Backend, is_loaded: bool) -> None:
    """Set the metric that says which models a process has, and how they are computed."""
    _, _, version = tag.partition(":")
    metrics.MODEL_INFO.labels(
        card.name,
        version,
        card.family,
        backend.name,
        str(backend.device),
        backend.provider_name,
    ).set(is_loaded)
