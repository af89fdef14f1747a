"""service/runners.py in this process: a request asks for a model that the runner has not."""

import asyncio
import io
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_store import StoredModel
from service.processes import in_passing_thread
from service.runners import ClassifierRunner, GeneratorRunner
from service.settings import settings
from tests.doubles import RESOLUTION

AT_MOST_S = 30.0
CALL = {"request_id": "1", "budget_s": AT_MOST_S}
ENCODING = {"format": "png", "quality": 90, "size": None}
SEARCH = {"mode": "optimize", "steps": 1, "space": "w", "align": False, "keeps_photo": False}


class Held:
    """What a runner loads with, whose work goes on when the event loop says so."""

    def __init__(self, real: Any, method: str) -> None:
        self._real = real
        self._method = method
        self.may = threading.Event()
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return self._noted(name, found) if callable(found) else found

    def _noted(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            self.called.append(name)
            assert name != self._method or self.may.wait(AT_MOST_S), "the event loop waits too"
            return work(*arguments)

        return noted


@pytest.fixture
def late(
    tiny: StoredModel, tiny_style: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StoredModel]:
    """A model that runners do not load at their start."""
    monkeypatch.setenv("GRADCTRL_MODELS", tiny.tag)
    monkeypatch.setenv("GRADCTRL_KEEP_FREED_MEMORY", "false")  # of this process
    settings.cache_clear()
    yield tiny_style
    settings.cache_clear()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it in a thread of its own, whose number of torch threads runners may change."""
    in_passing_thread(lambda: asyncio.run(work()), torch_threads=1)


async def loaded_late(held: Held, call: Coroutine[Any, Any, Any]) -> Any:
    """The answer of a call; the event loop has its turns while it loads a model."""
    answer = asyncio.create_task(call)
    await asyncio.sleep(0.01)
    assert not answer.done()
    held.may.set()
    return await answer


def test_a_generator_works_on_while_it_loads(late: StoredModel) -> None:
    async def work() -> None:
        runner: Any = GeneratorRunner()
        runner._backend = held = Held(runner._backend, "load")
        latents = np.zeros((1, *late.card.latent_shape), np.float32)
        payload = {"tag": late.tag, "latents": latents, "styles": None, "encoding": ENCODING}
        answer = await loaded_late(held, runner.render({**CALL, **payload, "animation": False}))
        assert len(answer["images"]) == 1

    run(work)


def test_a_classifier_works_on_while_it_loads(late: StoredModel) -> None:
    async def work() -> None:
        runner: Any = ClassifierRunner()
        runner._walker = held = Held(runner._walker, "walk")
        latents = np.zeros((1, *late.card.latent_shape), np.float32)
        payload = {**CALL, "tag": late.tag, "latents": latents}
        answer = await loaded_late(held, runner.score(payload))
        assert answer["probabilities"].shape[:2] == (1, len(late.card.attributes))

    run(work)


def test_first_inversions_load_a_model_once(late: StoredModel) -> None:
    file = io.BytesIO()
    Image.new("RGB", (RESOLUTION, RESOLUTION), "grey").save(file, "PNG")

    async def work() -> None:
        runner: Any = GeneratorRunner()
        runner._backend = held = Held(runner._backend, "load")
        held.may.set()
        payload = {"tag": late.tag, "spec": SEARCH, "encoding": ENCODING, "image": file.getvalue()}
        calls = (runner.invert({**CALL, **payload}) for _ in range(12))
        for answer in await asyncio.gather(*calls):
            assert "error" not in answer
        assert [held.called.count(name) for name in ("load", "in_torch")] == [1, 1]

    run(work)
