"""service/sending.py: readers that never read cost no memory, and lose their connection.

Streams: test_streaming.py holds what they render for a reader that is slow.
"""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from starlette.types import Message, Receive, Scope, Send

from model_store import StoredModel
from service.sending import PIECE_BYTES, Outbox
from tests.servers import running_server, server_of
from tests.service.test_streaming import LONG, metric, wait_for

TIMEOUT_S = 4
SETTLED_S = 25  # the kernel looks at a silent connection ever more seldom
UNSENT = 60_000_000
READERS = 60
LARGE: dict[str, Any] = {"seeds": list(range(16)), "output": {"size": 512, "format": "png"}}


@dataclass(frozen=True)
class Service:
    """A running service, and the process of its API."""

    url: str
    api: psutil.Process

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", httpx.URL(self.url).port or 80

    @property
    def mb(self) -> float:
        return float(self.api.memory_info().rss) / 1e6

    @property
    def connections(self) -> int:
        """Connections of clients, as the API's kernel has them."""
        found = self.api.net_connections("tcp")
        return sum(one.laddr.port == self.address[1] and bool(one.raddr) for one in found)

    def ask(self, path: str, body: dict[str, Any]) -> socket.socket:
        """A connection with a request on it, whose answer nobody reads yet."""
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(self.address)
        text = json.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n"
        reader.sendall(f"{head}Content-Type: application/json\r\n\r\n{text}".encode())
        return reader


@pytest.fixture(scope="module")
def service(
    tiny: StoredModel, bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("sending") / "log.txt"
    limits = {"GRADCTRL_TIMEOUT_S": str(TIMEOUT_S), "GRADCTRL_MAX_UNSENT_BYTES": str(UNSENT)}
    with running_server(bentoml_home, log, "--models", "tiny", **limits) as url:
        tree = server_of(url).children(recursive=True)
        yield Service(url, next(one for one in tree if "edit_service" in one.cmdline()))


def what_is_left(reader: socket.socket) -> bytes:
    """What can still be read of a connection before its end."""
    reader.settimeout(30)
    found = b""
    try:
        while part := reader.recv(1 << 20):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.mark.slow
def test_large_answers_that_nobody_reads_are_bounded_and_let_go(service: Service) -> None:
    first = httpx.post(f"{service.url}/v1/generate", json=LARGE, timeout=60)
    size = len(first.content)
    assert size > 4_000_000
    before, connections = service.mb, service.connections
    with ExitStack() as stack:
        readers = [stack.enter_context(service.ask("/v1/generate", LARGE)) for _ in range(READERS)]
        time.sleep(TIMEOUT_S / 2)
        small = httpx.post(f"{service.url}/v1/generate", json={"seeds": [1]}, timeout=10)
        assert small.status_code in (200, 503)
        grown = service.mb - before
        print(f"{READERS} answers of {size / 1e6:.1f} MB: {grown:.0f} MB")
        assert grown * 1e6 < UNSENT + 3 * size
        started = time.monotonic()
        wait_for(lambda: service.connections <= connections, SETTLED_S)
        print(f"all connections gone after {time.monotonic() - started:.1f} s more")
        ends = [what_is_left(reader) for reader in readers]
    refused = [end for end in ends if end.startswith(b"HTTP/1.1 503") and b"overloaded" in end]
    assert len(refused) >= READERS - UNSENT // size - 1
    assert all(len(end) < size for end in ends)
    again = httpx.post(f"{service.url}/v1/generate", json=LARGE, timeout=60)
    assert again.content == first.content


@pytest.mark.slow
def test_streams_that_nobody_reads_lose_their_connection(service: Service) -> None:
    connections = service.connections
    body = {**LONG, "output": {"size": 256}}
    with ExitStack() as stack:
        for seed in range(8):
            asked = {**body, "source": {"seed": seed}}
            stack.enter_context(service.ask("/v1/edit/stream", asked))
        wait_for(lambda: service.connections == connections + 8)
        wait_for(lambda: service.connections <= connections, TIMEOUT_S + SETTLED_S)
    wait_for(lambda: metric(service.url, "gradctrl_in_flight") == 0)


@pytest.mark.slow
def test_a_reader_that_pauses_gets_everything(service: Service) -> None:
    whole = httpx.post(f"{service.url}/v1/generate", json=LARGE, timeout=60).content
    with httpx.stream("POST", f"{service.url}/v1/generate", json=LARGE, timeout=60) as answer:
        parts = answer.iter_raw(PIECE_BYTES)
        found = next(parts)
        time.sleep(TIMEOUT_S / 2)
        assert found + b"".join(parts) == whole


def sent_by(bodies: list[Message], max_bytes: int = 10) -> list[Message]:
    """What reaches the server of an application's messages."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for body in bodies:
            await send({"type": "http.response.body", **body})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    outbox = Outbox(app, max_bytes, 5)
    asyncio.run(outbox({"type": "http", "method": "GET"}, receive, send))
    return sent


def test_pieces_are_the_body_in_order() -> None:
    body = bytes(range(256)) * (PIECE_BYTES // 100)
    start, *pieces = sent_by([{"body": body}])
    assert start["type"] == "http.response.start"
    assert b"".join(piece["body"] for piece in pieces) == body
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert max(len(piece["body"]) for piece in pieces) == PIECE_BYTES


def test_parts_of_a_stream_pass_and_stay_open() -> None:
    large = b"x" * (PIECE_BYTES + 1)
    parts: list[Message] = [
        {"body": b"a", "more_body": True},
        {"body": large, "more_body": True},
        {"body": b""},
    ]
    _, *found = sent_by(parts)
    assert [len(one["body"]) for one in found] == [1, PIECE_BYTES, 1, 0]
    assert [one.get("more_body", False) for one in found] == [True, True, True, False]
