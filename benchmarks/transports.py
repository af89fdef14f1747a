"""Latency of the smallest edit over REST, gRPC and the SDK on both, at 1 and 16 clients.

Smallest: one step, the last frame alone. Nothing is kept between requests (GRADCTRL_CACHE_BYTES=0,
every request has a seed of its own), and the transports take turns, so that what else the machine
does falls on all of them. `tiny` is the 16 px model of the tests, where the transport is most of
the time; `avatars` is the shipped one.

    python -m benchmarks.transports [--model avatars] [--rounds 100] [--calls 2]
"""

import argparse
import base64
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
from gradctrl_client import Client
from gradctrl_client.wire import edit_pb2, edit_pb2_grpc
from rich.console import Console
from rich.table import Table

from tests.servers import free_port, running_server

CLIENTS = (1, 16)
WARM_UP = 20
SERVICE = {
    "GRADCTRL_CACHE_BYTES": "0",
    "OMP_NUM_THREADS": "1",  # the transports are compared, not what torch gets of the cores
}
Call = Callable[[int], bytes]  # a seed -> the encoded image
STORE_TINY = (
    "from model_store import save_model; from tests.doubles import *; "
    "save_model(make_generator(), make_card(), make_heads())"
)
STORE = {
    "tiny": [sys.executable, "-c", STORE_TINY],
    "avatars": [str(Path(sys.executable).with_name("gradctrl")), "fetch", "avatars"],
}
ATTRIBUTE, TARGET = "smile", "smiling"
console = Console()


@dataclass(frozen=True)
class Figure:
    """One transport at one number of clients."""

    transport: str
    clients: int
    p50_ms: float
    p99_ms: float
    calls_per_s: float
    p50_of_rest: float  # ratio


def by_rest(url: str) -> Call:
    """Plain httpx: JSON, base64."""
    http = httpx.Client(base_url=url, timeout=60)

    def call(seed: int) -> bytes:
        edit = {"attribute": ATTRIBUTE, "target": TARGET, "steps": 1}
        body = {"source": {"seed": seed}, "edits": [edit], "frames": "final"}
        answer = http.post("/v1/edit", json=body).raise_for_status().json()
        return base64.b64decode(answer["frames"][0]["image"])

    return call


def by_grpc(address: str) -> Call:
    """The generated stub."""
    stub: Any = edit_pb2_grpc.EditServiceStub(grpc.insecure_channel(address))  # type: ignore[no-untyped-call]

    def call(seed: int) -> bytes:
        request = edit_pb2.EditRequest(
            source=edit_pb2.Source(seed=seed),
            edits=[edit_pb2.AttributeEdit(attribute=ATTRIBUTE, target=TARGET, steps=1)],
            frames="final",
        )
        image: bytes = stub.Edit(request, timeout=60).frames[0].image
        return image

    return call


def by_sdk(url: str) -> Call:
    """The client: typed answers, decoded images."""
    client = Client(url)

    def call(seed: int) -> bytes:
        edit = client.edit(ATTRIBUTE, TARGET, seed=seed, steps=1, frames="final")
        return edit.frames[0].encoded

    return call


@contextmanager
def transports(model: str) -> Iterator[dict[str, Call]]:
    """The ways to ask one running service."""
    with tempfile.TemporaryDirectory() as folder:
        home, port = Path(folder) / "home", free_port()
        home.mkdir()
        environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
        subprocess.run(STORE[model], env=environment, check=True, stdout=subprocess.DEVNULL)
        arguments = ("--models", model, "--grpc-port", str(port))
        log = Path(folder) / "service.log"
        with running_server(home, log, *arguments, **SERVICE) as url:
            yield {
                "REST": by_rest(url),
                "gRPC": by_grpc(f"127.0.0.1:{port}"),
                "SDK": by_sdk(url),
                "SDK gRPC": by_sdk(f"grpc://127.0.0.1:{port}"),
            }


def burst(call: Call, clients: int, seeds: range) -> tuple[list[float], float]:
    """Milliseconds of every call, and seconds of them all, by `clients` callers at once."""

    def one(seed: int) -> float:
        started = time.perf_counter()
        call(seed)
        return (time.perf_counter() - started) * 1000

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        times = list(pool.map(one, seeds))
    return times, time.perf_counter() - started


def measure(calls: dict[str, Call], clients: int, rounds: int, per_client: int) -> list[Figure]:
    """The transports in turns; who is first changes from round to round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    seconds = dict.fromkeys(calls, 0.0)
    names = list(calls)
    for index in range(rounds):
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            start = 1000 + index * clients * per_client
            found, elapsed = burst(calls[name], clients, range(start, start + clients * per_client))
            times[name] += found
            seconds[name] += elapsed
    rest = float(np.percentile(times["REST"], 50))
    figures = []
    for name in names:
        p50, p99 = (float(value) for value in np.percentile(times[name], [50, 99]))
        rate = len(times[name]) / seconds[name]
        figures.append(Figure(name, clients, p50, p99, rate, p50 / rest))
    return figures


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", choices=sorted(STORE), default="tiny")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--calls", type=int, default=2, help="of one client in one round")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/transports.json"))
    arguments = parser.parse_args()
    with transports(arguments.model) as calls:
        for call in calls.values():
            burst(call, 4, range(WARM_UP))
        assert len({call(7) for call in calls.values()}) == 1, "transports differ"
        figures = [
            figure
            for clients in CLIENTS
            for figure in measure(calls, clients, arguments.rounds, arguments.calls)
        ]
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    table = Table(title=f"one step on {arguments.model}, last frame ({machine})")
    for column in ("transport", "clients", "p50 ms", "p99 ms", "calls/s", "p50 against REST"):
        table.add_column(column, justify="right")
    for one in figures:
        numbers = (f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}", f"{one.calls_per_s:.0f}")
        table.add_row(one.transport, str(one.clients), *numbers, f"{one.p50_of_rest:.2f}x")
    console.print(table)
    written = {"machine": machine, "model": arguments.model, "figures": [*map(asdict, figures)]}
    arguments.json.write_text(json.dumps(written, indent=2))


if __name__ == "__main__":
    main()
