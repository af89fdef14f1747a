"""`start_rpc` in this process: the port, and calls that meet the stop of the server."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from service.admission import Gate
from service.budget import Budget
from service.cache import AnswerCache
from service.catalogue import Catalogue
from service.engine import Engine
from service.handlers import Handlers
from service.idempotency import Idempotency
from service.inverting import Inverting
from service.rpc import start_rpc
from service.settings import Settings
from service.wire import edit_pb2 as wire
from tests.rpc_calls import refused, stub_of
from tests.servers import free_port

CLIENTS = 12
LISTED = wire.ListModelsRequest()


def make_handlers(gate: Gate) -> Handlers:
    """Handlers that list no models; nothing here reaches a runner."""
    inverting = Inverting(AnswerCache(0))
    engine = Engine(None, None, gate, 60, inverting)  # type: ignore[arg-type]
    return Handlers(engine, Catalogue([]), AnswerCache(0), Idempotency(0, 1), 4, Budget(1))


@contextmanager
def served(port: int) -> Iterator[threading.Event]:
    """A server on a thread; it stops as the service does when the event is set."""
    started, stopping = threading.Event(), threading.Event()

    async def serve() -> None:
        gate = Gate(100)
        stop = await start_rpc(make_handlers(gate), Settings(grpc_port=port))
        started.set()
        while not stopping.is_set():
            await asyncio.sleep(0.01)
        gate.close()
        await stop(5)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield stopping
    finally:
        stopping.set()
        thread.join()


def test_a_stop_refuses_what_it_does_not_answer() -> None:
    """gRPC alone would cancel the calls that wait in the moment of the stop."""
    port, ended, is_over = free_port(), Counter[str](), threading.Event()

    def load() -> None:
        with stub_of(f"127.0.0.1:{port}") as stub:
            while not is_over.is_set():
                try:
                    stub.ListModels(LISTED, timeout=10)
                    ended["answered"] += 1
                except grpc.RpcError as error:
                    refusal = refused(error)
                    ended[f"{refusal.status.name}: {refusal.code}"] += 1
                    if refusal.code is None:
                        return

    with ThreadPoolExecutor(CLIENTS) as clients, served(port) as stopping:
        for _ in range(CLIENTS):
            clients.submit(load)
        time.sleep(0.5)
        stopping.set()
        time.sleep(0.5)
        is_over.set()
    assert ended["answered"] > 0
    assert ended["UNAVAILABLE: overloaded"] > 0
    assert set(ended) <= {"answered", "UNAVAILABLE: overloaded", "UNAVAILABLE: None"}, ended


def test_two_workers_share_a_port() -> None:
    port = free_port()
    with served(port) as first, served(port):
        with stub_of(f"127.0.0.1:{port}") as stub:
            stub.ListModels(LISTED, timeout=10)
        first.set()
        time.sleep(1)
        with stub_of(f"127.0.0.1:{port}") as stub:
            stub.ListModels(LISTED, timeout=10, wait_for_ready=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_any_kind_of_host_can_be_bound(host: str) -> None:
    async def bind() -> None:
        config = Settings(grpc_port=free_port(), grpc_host=host)
        stop = await start_rpc(make_handlers(Gate(1)), config)
        await stop(0)

    asyncio.run(bind())
