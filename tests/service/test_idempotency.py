"""service/idempotency.py: one answer per key, failures forgotten, other requests refused."""

import asyncio

import pytest

from service.errors import ApiError
from service.idempotency import Idempotency


class Counting:
    """Work that says how often it ran, and fails the first `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.runs = 0
        self._failures = failures

    async def work(self) -> str:
        self.runs += 1
        await asyncio.sleep(0.01)
        if self.runs <= self._failures:
            raise ApiError("overloaded", "later")
        return f"answer {self.runs}"


def test_a_repeated_key_gets_the_first_answer_even_while_it_is_computed() -> None:
    async def scenario() -> None:
        counting, keys = Counting(), Idempotency(1000, 60)
        calls = [keys.once("k", "body", counting.work, len) for _ in range(3)]
        assert await asyncio.gather(*calls) == ["answer 1"] * 3
        assert await keys.once("k", "body", counting.work, len) == "answer 1"
        assert await keys.once(None, "body", counting.work, len) == "answer 2"

    asyncio.run(scenario())


def test_a_key_of_another_request_is_refused() -> None:
    async def scenario() -> None:
        counting, keys = Counting(), Idempotency(1000, 60)
        await keys.once("k", "body", counting.work, len)
        with pytest.raises(ApiError) as caught:
            await keys.once("k", "other", counting.work, len)
        assert (caught.value.status, caught.value.field) == (422, "Idempotency-Key")
        with pytest.raises(ApiError, match="1 to 255 printable"):
            await keys.once("\n", "body", counting.work, len)

    asyncio.run(scenario())


def test_callers_do_not_share_keys() -> None:
    async def scenario() -> None:
        counting, keys = Counting(), Idempotency(1000, 60)
        assert await keys.once("k", "body", counting.work, len, "alice") == "answer 1"
        assert await keys.once("k", "body", counting.work, len, "bob") == "answer 2"
        assert await keys.once("k", "other", counting.work, len) == "answer 3"
        assert await keys.once("k", "body", counting.work, len, "alice") == "answer 1"

    asyncio.run(scenario())


def test_a_failure_frees_the_key_and_a_waiting_retry_runs() -> None:
    async def scenario() -> None:
        counting, keys = Counting(failures=1), Idempotency(1000, 60)
        calls = [keys.once("k", "body", counting.work, len) for _ in range(2)]
        first, second = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(first, ApiError)
        assert second == "answer 2"

    asyncio.run(scenario())


def test_old_keys_and_too_many_bytes_are_forgotten() -> None:
    async def scenario() -> None:
        counting = Counting()
        brief, narrow = Idempotency(1000, ttl_s=0), Idempotency(10, 60)
        for keys in (brief, narrow):
            await keys.once("k", "body", counting.work, len)
            await keys.once("l", "body", counting.work, len)
            await keys.once("k", "body", counting.work, len)
        assert counting.runs == 6

    asyncio.run(scenario())
