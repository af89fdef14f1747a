"""service/engine.py on small runners: what is counted of an edit, and when it has a place."""

import asyncio
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from model_store import Starts, plan_edit
from service import metrics
from service.admission import Gate
from service.cache import AnswerCache
from service.calls import Call
from service.engine import Engine, Frame, Timings
from service.errors import ApiError
from service.images import Encoding
from service.inverting import Inverting
from service.specs import ServedCard, WalkSpec
from tests.doubles import Z_DIM, make_card

STEPS = 3
PNG = Encoding("png", 90, None)


class Runner:
    """Both runners: answers at once, or breaks at an image."""

    def __init__(self, is_broken: bool = False) -> None:
        self._is_broken = is_broken

    async def walk(self, payload: dict[str, Any]) -> dict[str, Any]:
        latents = np.zeros((STEPS + 1, 1, Z_DIM), np.float32)
        edits = [{"reached": True}]
        return {"latents": latents, "probabilities": latents, "edits": edits, "styles": None}

    async def render(self, payload: dict[str, Any]) -> dict[str, Any]:
        if self._is_broken:
            raise RuntimeError("no image")
        return {"images": [b"image"] * len(payload["latents"])}

    async def cancel(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {}


class Edits:
    """Edits of a model that no other test counts."""

    def __init__(self, name: str, is_broken: bool = False) -> None:
        runner: Any = Runner(is_broken)
        self.gate = Gate(1)
        self._engine = Engine(runner, runner, self.gate, 60, Inverting(AnswerCache(0)))
        card = make_card(name)
        self._served = ServedCard(f"gradctrl-{name}:1", card, {})
        starts = Starts(latents=np.zeros((1, 1, Z_DIM), np.float32))
        plan = plan_edit(card, "smile", "smiling", STEPS)
        self._spec = WalkSpec(self._served.tag, starts, (plan,))

    def begin(self) -> Any:
        """The events of an edit, a frame in each render call."""
        return self._engine.edit_frames(
            self._served, self._spec, PNG, False, Call(), chunk=1, animation=False
        )

    async def run(self) -> list[Any]:
        """All events of an edit."""
        async with aclosing(self.begin()) as events:
            return [event async for event in events]

    @property
    def outcomes(self) -> dict[str, float]:
        """How many edits ended how."""
        return {
            one.labels["outcome"]: one.value
            for one in self._samples(metrics.EDITS)
            if one.name.endswith("_total")
        }

    def seconds(self, what: str) -> float:
        """The sum or count of `edit_seconds`."""
        found = [one for one in self._samples(metrics.EDIT_SECONDS) if one.name.endswith(what)]
        return sum(one.value for one in found)

    def _samples(self, metric: Any) -> list[Any]:
        (family,) = metric.collect()
        return [one for one in family.samples if one.labels["model"] == self._served.card.name]


def test_an_edit_that_waits_for_its_reader_lets_others_work() -> None:
    edits = Edits("lending")

    async def scenario() -> None:
        async with aclosing(edits.begin()) as events:
            async for event in events:
                if isinstance(event, Frame):
                    assert len(await edits.run()) > STEPS

    asyncio.run(scenario())
    assert edits.outcomes == {"reached": STEPS + 2}


def test_the_time_of_a_reader_is_no_time_of_an_edit() -> None:
    edits = Edits("clocked")

    async def timings() -> Timings:
        async with aclosing(edits.begin()) as events:
            async for event in events:
                if isinstance(event, Timings):
                    return event
                await asyncio.sleep(0.01)
        raise AssertionError("an edit ends with its timings")

    spent = asyncio.run(timings()).timings_ms
    worked = spent["trajectory"] + spent["render"]
    assert edits.seconds("_count") == 1
    assert edits.seconds("_sum") == pytest.approx(worked / 1000)
    assert spent["total"] > worked


def test_a_refused_edit_has_no_time() -> None:
    edits = Edits("refused")
    with edits.gate.admitted(), pytest.raises(ApiError, match="too many requests"):
        asyncio.run(edits.run())
    assert edits.outcomes == {"overloaded": 1}
    assert edits.seconds("_count") == 0


def test_a_failure_and_a_caller_that_leaves_are_told_apart() -> None:
    broken, left = Edits("broken", is_broken=True), Edits("left")
    with pytest.raises(RuntimeError, match="no image"):
        asyncio.run(broken.run())
    assert broken.outcomes == {"internal": 1}

    async def leave() -> None:
        async with aclosing(left.begin()) as events:
            await anext(events)

    asyncio.run(leave())
    assert left.outcomes == {"cancelled": 1}
