"""service/admission.py: a number of places, and an end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from service.admission import Gate
from service.errors import ApiError


def test_places_are_counted_and_given_back() -> None:
    gate = Gate(1)
    with gate.admitted(), pytest.raises(ApiError, match="too many requests"), gate.admitted():
        pass
    with gate.admitted():
        pass


def test_a_closed_gate_refuses_and_empties() -> None:
    async def scenario() -> None:
        gate = Gate(2)
        with gate.admitted():
            gate.close()
            with pytest.raises(ApiError) as caught, gate.admitted():
                pass
            assert caught.value.status == 503
            assert caught.value.headers["Connection"] == "close"
            waiting = asyncio.create_task(gate.wait_until_empty())
            await asyncio.sleep(0)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 1)

    asyncio.run(scenario())


def test_a_lent_place_is_another_s_and_comes_back_at_once() -> None:
    async def scenario() -> None:
        gate = Gate(1)
        with gate.admitted():
            with gate.lent(), gate.admitted():
                gate.close()
            waiting = asyncio.create_task(gate.wait_until_empty())
            with gate.lent():
                await asyncio.sleep(0)
                assert not waiting.done()
        await asyncio.wait_for(waiting, 1)

    asyncio.run(scenario())


async def numbers() -> AsyncGenerator[int, None]:
    for number in range(3):
        yield number


def test_a_stream_has_a_place_until_its_end() -> None:
    async def scenario() -> None:
        gate = Gate(1)
        for _ in range(2):
            async with aclosing(gate.streamed(numbers())) as read:
                assert await anext(read) == 0
                with pytest.raises(ApiError, match="too many streams"):
                    await anext(gate.streamed(numbers()))
                with gate.admitted():
                    assert [number async for number in read] == [1, 2]

    asyncio.run(scenario())
