"""service/resident_models.py: load, forget, show."""

import asyncio

from model_store import ModelStoreError, StoredModel
from service import metrics
from service.backends import Backend
from service.resident_models import forget_others, load_all, show_model
from service.settings import Settings


def test_all_are_loaded_or_the_refusal_says_why() -> None:
    loaded: list[str] = []
    assert asyncio.run(load_all(loaded.append, ["a:1", "b:2"])) == {}
    assert loaded == ["a:1", "b:2"]

    def load(tag: str) -> None:
        raise ModelStoreError(f"no {tag}")

    refusal = asyncio.run(load_all(load, ["c:3"]))
    assert "no c:3" in str(refusal)


def test_others_are_forgotten_everywhere() -> None:
    one, other = {"a:1": 1, "b:2": 2}, {"b:2": 3}
    forget_others(["a:1"], one, other)
    assert one == {"a:1": 1}
    assert other == {}


def test_operators_see_what_is_loaded(tiny: StoredModel) -> None:
    backend = Backend.of(Settings(device="cpu"))
    for is_loaded in (True, False):
        show_model(tiny.tag, tiny.card, backend, is_loaded)
        (family,) = metrics.MODEL_INFO.collect()
        (sample,) = [one for one in family.samples if one.labels["model"] == tiny.card.name]
        assert sample.value == is_loaded
        assert sample.labels["version"] == tiny.tag.split(":")[1]
