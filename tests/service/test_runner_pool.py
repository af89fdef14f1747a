"""service/runner_pool.py and endpoints.py: who is asked, what a loss costs, who is forgotten."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import aiohttp
import pytest

from service.endpoints import MISSES, resolver
from service.errors import ApiError, Refusal
from service.runner_pool import PROBE_EVERY_S, RunnerPool, pool_of

REFUSED = aiohttp.ClientConnectorError(
    aiohttp.client_reqrep.ConnectionKey("host", 1, False, True, None, None, None),
    ConnectionRefusedError("refused"),
)


class Process:
    """A runner's process at an address: answers its name, or what it is told to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.error: BaseException | None = None
        self.errors: list[BaseException] = []  # of the next calls
        self.answer: Any = url
        self.ready: bool | BaseException = True
        self.held: asyncio.Event | None = None
        self.is_closed = False

    async def call(self, name: str, payload: dict[str, Any]) -> Any:
        self.asked.append(name)
        if self.held is not None:
            await self.held.wait()
        if self.errors:
            raise self.errors.pop(0)
        if self.error is not None:
            raise self.error
        return self.answer

    async def is_ready(self, timeout: int | None = None) -> bool:
        if isinstance(self.ready, BaseException):
            raise self.ready
        return self.ready

    async def close(self) -> None:
        self.is_closed = True


class Machines:
    """Processes by address, as a name server and a network would know them."""

    def __init__(self, *urls: str) -> None:
        self.urls: Sequence[str] = urls
        self.processes = {url: Process(url) for url in (*urls, "c")}
        self.pool = RunnerPool("generator", lambda: self.urls, self.processes.__getitem__)

    def __getitem__(self, url: str) -> Process:
        return self.processes[url]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_calls_take_turns_and_go_to_the_least_busy() -> None:
    async def work() -> None:
        two = Machines("a", "b")
        await two.pool.refresh()
        assert sorted([await two.pool.render({}), await two.pool.render({})]) == ["a", "b"]
        two["a"].held = asyncio.Event()
        waiting = [asyncio.ensure_future(two.pool.render({})) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        busy = len(two["a"].asked)
        for _ in range(3):
            assert await two.pool.render({}) == "b"
        assert len(two["a"].asked) == busy
        two["a"].held.set()
        assert "a" in await asyncio.gather(*waiting)

    run(work())


def test_a_refused_connection_is_tried_elsewhere_and_remembered() -> None:
    async def work() -> None:
        two = Machines("a", "b")
        await two.pool.refresh()
        two["a"].error = REFUSED
        assert [await two.pool.render({}) for _ in range(4)] == ["b"] * 4
        assert len(two["a"].asked) <= 1
        two["a"].error = None
        await two.pool.refresh()  # the probe finds it again
        assert {await two.pool.render({}) for _ in range(4)} == {"a", "b"}

    run(work())


def test_a_call_that_loses_its_process_is_asked_once_more() -> None:
    async def work() -> None:
        two = Machines("a", "b")
        await two.pool.refresh()
        for name in ("a", "b"):
            two[name].error = aiohttp.ServerDisconnectedError()
        with pytest.raises(ApiError) as refused:
            await two.pool.render({})
        assert refused.value.code == "overloaded"
        assert len(two["a"].asked) + len(two["b"].asked) == 2  # a request that kills stops there

    run(work())


def test_a_lost_process_is_not_asked_again_while_there_is_another() -> None:
    async def work() -> None:
        two = Machines("a", "b")
        await two.pool.refresh()
        two["a"].error = aiohttp.ServerDisconnectedError()  # and so will be its idle connections
        assert [await two.pool.render({}) for _ in range(6)] == ["b"] * 6
        two["b"].held = asyncio.Event()
        waiting = [asyncio.ensure_future(two.pool.render({})) for _ in range(4)]
        await asyncio.sleep(0.01)
        two["b"].held.set()
        assert await asyncio.gather(*waiting) == ["b"] * 4  # though b was the busier one

    run(work())


def test_the_only_process_is_asked_again() -> None:
    async def work() -> None:
        one = Machines("a")
        await one.pool.refresh()
        one["a"].error = aiohttp.ServerDisconnectedError()
        asked = asyncio.ensure_future(one.pool.render({}))
        one["a"].held = asyncio.Event()
        await asyncio.sleep(0.01)
        one["a"].held.set()
        with pytest.raises(ApiError):
            await asked
        assert len(one["a"].asked) == 2

    run(work())


def test_silent_processes_are_better_than_none() -> None:
    async def work() -> None:
        two = Machines("a", "b")
        await two.pool.refresh()
        for name in ("a", "b"):
            two[name].ready = TimeoutError()
        for _ in range(MISSES):
            await two.pool.refresh()
        assert not two.pool.is_available  # new requests are better sent elsewhere
        assert await two.pool.render({}) in ("a", "b")

    run(work())


def test_no_process_is_a_refusal_at_once() -> None:
    async def work() -> None:
        one = Machines("a")
        one["a"].ready = False
        await one.pool.refresh()
        assert not one.pool.is_available
        with pytest.raises(ApiError) as refused:
            await one.pool.walk({})
        assert (refused.value.code, refused.value.headers["Retry-After"]) == ("overloaded", "1")
        assert one["a"].asked == []

    run(work())


def test_calls_leave_a_process_that_hangs() -> None:
    async def work() -> None:
        two = Machines("a", "b")
        await two.pool.refresh()
        two["a"].held = two["b"].held = asyncio.Event()
        waiting = [asyncio.ensure_future(two.pool.render({})) for _ in range(2)]
        await asyncio.sleep(0.01)
        two["b"].held = None
        two["a"].ready = TimeoutError()
        for probe in range(MISSES):
            assert two.pool._endpoints["a"].is_available, probe
            await two.pool.refresh()
        assert await waiting[0] == "b"
        two["a"].held.set()  # of the other call, which waits on b
        assert await waiting[1] == "b"

    run(work())


def test_a_process_that_never_answered_is_not_ready_but_calls_wait_for_it() -> None:
    async def work() -> None:
        one = Machines("a")
        one["a"].ready = TimeoutError()  # it still loads its models; the socket is there
        await one.pool.start()
        assert not one.pool.is_available
        assert await one.pool.render({}) == "a"
        one["a"].ready = True
        async with asyncio.timeout(PROBE_EVERY_S / 2):
            while not one.pool.is_available:
                await asyncio.sleep(0.01)
        one["a"].ready = TimeoutError()
        await one.pool.refresh()
        assert one.pool.is_available  # now one late answer is no loss

    run(work())


def test_an_only_process_that_hangs_is_waited_for() -> None:
    async def work() -> None:
        one = Machines("a")
        await one.pool.refresh()
        one["a"].held = asyncio.Event()
        one["a"].ready = TimeoutError()
        waiting = asyncio.ensure_future(one.pool.render({}))
        for _ in range(MISSES + 1):
            await one.pool.refresh()
        one["a"].held.set()
        assert await waiting == "a"

    run(work())


def test_addresses_come_and_go() -> None:
    async def work() -> None:
        two = Machines("a", "b")
        await two.pool.refresh()
        two["a"].held = asyncio.Event()
        waiting = [asyncio.ensure_future(two.pool.render({})) for _ in range(2)]
        await asyncio.sleep(0.01)
        two.urls = ("b", "c")
        await two.pool.refresh()
        assert {await two.pool.render({}) for _ in range(6)} == {"b", "c"}
        assert not two["a"].is_closed  # it still works on a call
        two["a"].held.set()
        assert "a" in await asyncio.gather(*waiting)
        await two.pool.refresh()
        assert two["a"].is_closed
        assert two.pool.urls == ("b", "c")

    run(work())


def test_a_name_server_that_is_away_changes_nothing() -> None:
    async def work() -> None:
        one = Machines("a")
        await one.pool.refresh()

        def fails() -> Sequence[str]:
            raise OSError("no name server")

        one.pool._resolve = fails
        await one.pool.refresh()
        assert await one.pool.render({}) == "a"

    run(work())


def test_cancels_and_holds_reach_every_process() -> None:
    async def work() -> None:
        two = Machines("a", "b")
        await two.pool.refresh()
        two["a"].error = REFUSED
        await two.pool.cancel({"request_id": "1"})
        assert (two["a"].asked, two["b"].asked) == (["cancel"], ["cancel"])

    run(work())


def test_what_every_process_must_do_fails_with_one_that_cannot() -> None:
    async def work() -> None:
        two = Machines("a", "b")
        await two.pool.refresh()
        two["a"].answer = two["b"].answer = {}
        two["a"].errors = [aiohttp.ServerDisconnectedError()]  # of a connection that was idle
        await two.pool.ask_every("load", {"tags": []})
        assert (two["a"].asked, two["b"].asked) == (["load", "load"], ["load"])
        two["b"].answer = Refusal("internal", "no such file").as_payload()
        with pytest.raises(ApiError, match="no such file"):
            await two.pool.ask_every("load", {"tags": []})
        two["b"].error = aiohttp.ServerDisconnectedError()
        with pytest.raises(ApiError) as lost:
            await two.pool.ask_every("load", {"tags": []})
        two["a"].ready = two["b"].ready = False
        await two.pool.refresh()
        with pytest.raises(ApiError) as away:
            await two.pool.ask_every("load", {"tags": []})
        assert lost.value.code == away.value.code == "overloaded"

    run(work())


def test_a_cancelled_call_is_cancelled_at_its_process() -> None:
    async def work() -> None:
        one = Machines("a")
        await one.pool.refresh()
        one["a"].held = asyncio.Event()
        waiting = asyncio.ensure_future(one.pool.render({}))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait({waiting})
        await asyncio.sleep(0)
        assert one.pool._endpoints["a"].in_flight == 0

    run(work())


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("file:///tmp/x.sock", ("file:///tmp/x.sock",)),
        ("http://a:1, http://b:2", ("http://a:1", "http://b:2")),
        ("http://name:3000", ("http://10.0.0.1:3000", "http://10.0.0.2:3000")),
        ("http://six:3000", ("http://[fd00::1]:3000",)),
    ],
)
def test_a_url_stands_for_addresses(url: str, found: tuple[str, ...]) -> None:
    hosts = {"name": ["10.0.0.2", "10.0.0.1", "10.0.0.2"], "six": ["fd00::1"]}
    assert tuple(resolver(url, lambda host, port: hosts[host])()) == found


def test_a_real_name_is_looked_up() -> None:
    pool = pool_of("generator", "http://localhost:3000", Process)
    asyncio.run(pool.refresh())
    assert "http://127.0.0.1:3000" in pool.urls
