"""service/cancelling.py: deadlines, failures, cancels that come in time, early and late."""

import asyncio
import logging
from typing import Any

import pytest
from prometheus_client import REGISTRY

from service.cancelling import Calls
from service.request_ids import current_request_id

REFUSED = "deadline_exceeded"


def payload(request_id: str = "r", budget_s: float = 10.0) -> dict[str, Any]:
    return {"request_id": request_id, "budget_s": budget_s}


class Work:
    """Work that ends when `gate` is set, and says how it ended."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.was_cancelled = False

    async def run(self) -> dict[str, Any]:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return {"done": True}


def test_a_call_is_answered() -> None:
    async def scenario() -> None:
        work, calls = Work(), Calls("generator")
        call = asyncio.create_task(calls.run(payload(), work.run))
        await asyncio.sleep(0)
        assert not calls.is_idle
        work.gate.set()
        assert await call == {"done": True}
        assert calls.is_idle

    asyncio.run(scenario())


def test_calls_in_flight_are_a_series_before_the_first_one() -> None:
    labels = {"runner": "unasked"}
    assert REGISTRY.get_sample_value("gradctrl_in_flight", labels) is None
    Calls("unasked")
    assert REGISTRY.get_sample_value("gradctrl_in_flight", labels) == 0


def test_a_cancel_stops_all_calls_of_its_request_and_no_others() -> None:
    async def scenario() -> None:
        works, calls = [Work() for _ in range(3)], Calls("generator")
        names = ("r", "r", "other")
        tasks = [
            asyncio.create_task(calls.run(payload(name), work.run))
            for name, work in zip(names, works, strict=True)
        ]
        await asyncio.sleep(0.01)
        calls.cancel("r")
        works[2].gate.set()
        answers = await asyncio.gather(*tasks)
        assert [answer.get("refusal", {}).get("code") for answer in answers] == [
            REFUSED,
            REFUSED,
            None,
        ]
        assert [work.was_cancelled for work in works] == [True, True, False]
        assert calls.is_idle

    asyncio.run(scenario())


def test_a_cancel_that_comes_first_refuses_the_call() -> None:
    async def scenario() -> None:
        work, calls = Work(), Calls("generator")
        calls.cancel("r")
        answer = await calls.run(payload(), work.run)
        assert answer["refusal"]["code"] == REFUSED

    asyncio.run(scenario())


def test_time_that_runs_out_stops_the_work() -> None:
    async def scenario() -> None:
        work, calls = Work(), Calls("generator")
        answer = await calls.run(payload(budget_s=0.01), work.run)
        assert answer["refusal"]["code"] == REFUSED
        await asyncio.sleep(0)
        assert work.was_cancelled
        assert calls.is_idle

    asyncio.run(scenario())


def test_a_failure_is_a_refusal_and_is_logged_with_the_id_of_its_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged: list[str | None] = []

    def note(record: logging.LogRecord) -> bool:
        logged.append(current_request_id())
        return True

    async def broken() -> dict[str, Any]:
        raise RuntimeError("a secret of the runner")

    caplog.handler.addFilter(note)
    calls = Calls("generator")
    answer = asyncio.run(calls.run(payload("r"), broken))
    caplog.handler.removeFilter(note)
    assert answer["refusal"]["code"] == "internal"
    assert "secret" not in answer["refusal"]["message"]
    assert logged == ["r"]
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert calls.is_idle
