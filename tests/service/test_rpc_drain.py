"""SIGTERM to the real service under load over both APIs: what was accepted is answered."""

import errno
import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest

from model_store import StoredModel
from service.wire import edit_pb2 as wire
from tests.rpc_calls import edit_request, refused, stub_of
from tests.servers import free_port, running_server, server_of

pytestmark = pytest.mark.slow

GRACE_S = 25
CLIENTS = 8  # over each API
UNANSWERED_S = 30


def over_grpc(stub: Any, seed: int) -> str:
    """How one call ended."""
    try:
        answer = stub.Edit(edit_request(seed=seed, steps=40), timeout=UNANSWERED_S)
        return "answered" if len(answer.frames) == 41 else "cut short"
    except grpc.RpcError as error:
        refusal = refused(error)
        if refusal.status == grpc.StatusCode.UNAVAILABLE:
            return f"refused: {refusal.code or 'no connection'}"
        return f"lost: {refusal}"


def over_rest(url: str, seed: int) -> str:
    """How one request on a connection of its own ended."""
    edit = {"attribute": "smile", "target": "smiling", "steps": 40}
    body = {"source": {"seed": seed}, "edits": [edit]}
    try:
        answer = httpx.post(f"{url}/v1/edit", json=body, timeout=UNANSWERED_S)
    except httpx.ConnectError:
        return "refused: no connection"
    except httpx.ReadError as error:
        # A reset, unlike an end of the connection, says that the request was never read: it lay in
        # the listening socket, which BentoML's arbiter closes last.
        reset = f"[Errno {errno.ECONNRESET}]" in str(error)
        return "refused: never read" if reset else f"lost: {error!r}"
    except httpx.HTTPError as error:
        return f"lost: {error!r}"
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return f"refused: {answer.json()['error']['code']}"
    return "answered" if answer.status_code == httpx.codes.OK else f"lost: {answer.text}"


def test_sigterm_under_load_loses_nothing_that_was_accepted(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    port = free_port()
    arguments = ("--models", "tiny", "--grpc-port", str(port))
    seeds = itertools.count(100)
    ended: dict[str, Counter[str]] = {"grpc": Counter(), "rest": Counter()}
    is_over = threading.Event()

    def load(name: str, call: Callable[[int], str]) -> None:
        while not is_over.is_set():
            how = call(next(seeds))
            ended[name][how] += 1
            if how == "refused: no connection":
                return

    def stream(stub: Any) -> int:
        edits = [wire.AttributeEdit(attribute="smile", target="smiling", steps=60)] * 2
        request = wire.EditRequest(
            source=wire.Source(seed=99), edits=edits, output=wire.Output(size=256)
        )
        return len(list(stub.EditStream(wire.EditStreamRequest(edit=request))))

    with (
        running_server(
            bentoml_home, tmp_path / "log.txt", *arguments, GRADCTRL_DRAIN_S=str(GRACE_S)
        ) as url,
        ThreadPoolExecutor(2 * CLIENTS + 1) as clients,
        stub_of(f"127.0.0.1:{port}") as stub,
    ):
        arbiter = server_of(url)
        streamed = clients.submit(stream, stub)
        for _ in range(CLIENTS):
            clients.submit(load, "grpc", lambda seed: over_grpc(stub, seed))
            clients.submit(load, "rest", lambda seed: over_rest(url, seed))
        time.sleep(3)
        before = {name: counts["answered"] for name, counts in ended.items()}
        sent = time.monotonic()
        os.kill(arbiter.pid, signal.SIGTERM)
        gone, _ = psutil.wait_procs([arbiter], timeout=GRACE_S + 10)
        took = time.monotonic() - sent
        is_over.set()
        frames = streamed.result(timeout=UNANSWERED_S)
    print(f"exit after {took:.1f} s; stream {frames} events; {before} before; {ended}")
    assert gone
    assert took < GRACE_S
    assert frames == 2 * 60 + 2
    for name, counts in ended.items():
        assert before[name] > 0
        assert not [how for how in counts if how.startswith(("lost", "cut"))], counts
        assert counts["refused: no connection"], counts
