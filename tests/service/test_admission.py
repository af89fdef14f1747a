"""service/admission.py: a number of places, and an end."""

import asyncio

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
