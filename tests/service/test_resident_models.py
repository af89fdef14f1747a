"""service/resident_models.py: made once, load, forget, show."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from model_store import ModelStoreError, StoredModel
from service import metrics
from service.backends import Backend
from service.resident_models import ResidentModels, load_all, show_model
from service.settings import Settings


class Maker:
    """Makes models when it may, and says which; one after another can be refused."""

    def __init__(self, *refused: str) -> None:
        self.made: list[str] = []
        self.refused = list(refused)
        self.may = asyncio.Event()

    async def make(self, tag: str) -> str:
        self.made.append(tag)
        await self.may.wait()
        if tag in self.refused:
            self.refused.remove(tag)
            raise ModelStoreError(f"no {tag}")
        return f"{tag}, made"


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_one_is_made_for_all_who_ask_meanwhile() -> None:
    async def work() -> None:
        maker = Maker()
        models = ResidentModels(maker.make)
        asking = [asyncio.create_task(models.get("a:1")) for _ in range(12)]
        await asyncio.sleep(0)
        asking[0].cancel()  # its request is over; the others wait on
        maker.may.set()
        assert set(await asyncio.gather(*asking[1:])) == {"a:1, made"}
        assert await models.get("a:1") == "a:1, made"
        assert maker.made == ["a:1"]

    run(work())


def test_one_that_failed_is_tried_again() -> None:
    async def work() -> None:
        maker = Maker("a:1")
        maker.may.set()
        models = ResidentModels(maker.make)
        with pytest.raises(ModelStoreError):
            await models.get("a:1")
        assert await models.get("a:1") == "a:1, made"

    run(work())


def test_all_are_loaded_or_the_refusal_says_why() -> None:
    async def work() -> None:
        maker = Maker("c:3")
        maker.may.set()
        models = ResidentModels(maker.make)
        assert await load_all(models.get, ["a:1", "b:2"]) == {}
        assert maker.made == ["a:1", "b:2"]
        assert "no c:3" in str(await load_all(models.get, ["c:3"]))

    run(work())


def test_others_are_forgotten() -> None:
    async def work() -> None:
        maker = Maker()
        models = ResidentModels(maker.make)
        models.put("a:1", "one")
        models.put("b:2", "other")
        assert models.keep(["a:1"]) == {"b:2": "other"}
        assert models.keep(["a:1"]) == {}
        assert await models.get("a:1") == "one"

    run(work())


def test_operators_see_what_is_loaded(tiny: StoredModel) -> None:
    backend = Backend.of(Settings(device="cpu"))
    for is_loaded in (True, False):
        show_model(tiny.tag, tiny.card, backend, is_loaded)
        (family,) = metrics.MODEL_INFO.collect()
        (sample,) = [one for one in family.samples if one.labels["model"] == tiny.card.name]
        assert sample.value == is_loaded
        assert sample.labels["version"] == tiny.tag.split(":")[1]
