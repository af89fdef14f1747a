"""The models that a runner holds: made ready, forgotten, shown to operators.

Knows nothing about what they compute.
"""

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from model_store import ModelCard, ModelStoreError
from service import metrics
from service.backends import Backend
from service.errors import Refusal


async def load_all(load: Callable[[str], None], tags: Sequence[str]) -> dict[str, Any]:
    """Nothing once all models are loaded, beside the work in hand; or a refusal."""
    try:
        for tag in tags:
            await asyncio.to_thread(load, tag)
    except ModelStoreError as error:
        return Refusal("internal", str(error)).as_payload()
    return {}


def forget_others(tags: Sequence[str], *loaded: MutableMapping[str, Any]) -> None:
    """Forget what is held of all models but these."""
    for of_tag in loaded:
        for tag in of_tag.keys() - set(tags):
            del of_tag[tag]


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
