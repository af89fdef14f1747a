"""Throughput and latency of the real service: 1 to 64 clients, against three peers in the same run.

The peers: a bare loop in one process (walk and synthesis, no server, no encoding), a FastAPI server
with one lock around the same engine (benchmarks/one_lock.py), and the service without batches,
frame by frame. Client, API and runners share the machine.

    python -m benchmarks.service [--model avatars] [--steps 8] [--edits 320] [--clients 1,4,16,64]
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus

import httpx
import numpy as np
import urllib3
from rich.console import Console
from rich.table import Table

from benchmarks.pairs import save
from export.strips import edit_seed, load_local
from model_store import StoredModel, find_model, keep_freed_memory, plan_edit

STEPS = 8
READY_S = 120
LOOP = "in-process loop"
console = Console()


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    clients: int
    edits_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


def timed(name: str, clients: int, edits: int, call: Callable[[int], object]) -> Figure:
    """`edits` calls by so many callers at once."""
    times: list[float] = []
    errors: list[Exception] = []

    def one(seed: int) -> None:
        started = time.perf_counter()
        try:
            call(seed)
        except Exception as error:
            errors.append(error)
        times.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(edits)))
    elapsed = time.perf_counter() - started
    p50, p99 = np.percentile(times, [50, 99])
    return Figure(name, clients, edits / elapsed, float(p50), float(p99), len(errors))


@contextmanager
def server(*command: str, **environment: str) -> Iterator[str]:
    """The URL of a serving module, ready; {port} in the command is its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", *(part.format(port=port) for part in command)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + READY_S
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} did not start")
            time.sleep(0.05)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def served(
    name: str, url: str, model: StoredModel, clients: tuple[int, ...], edits: int, steps: int
) -> list[Figure]:
    """Figures of a server at every number of clients."""
    attribute = model.card.attributes[0]
    wish = {"attribute": attribute.name, "target": attribute.classes[-1], "steps": steps}
    # Not httpx: of the machine that it measures it takes 1.7 ms of CPU an edit, with the JSON read.
    with urllib3.connection_from_url(url, maxsize=max(clients), timeout=120, retries=False) as pool:

        def call(seed: int) -> None:
            body = {"source": {"seed": seed}, "edits": [wish]}
            answer = pool.request("POST", "/v1/edit", json=body)
            assert answer.status == HTTPStatus.OK, answer.data[:200]
            assert answer.data.count(b'"image"') == steps + 1

        timed("warm-up", 4, min(20, edits), lambda seed: call(10_000_000 + seed))
        found = []
        for index, number in enumerate(clients):
            first = (index + 1) * 100_000  # seeds that no answer is kept of
            figure = timed(name, number, edits, lambda seed, first=first: call(first + seed))  # type: ignore[misc]
            found.append(figure)
        return found


def loop_of(model: StoredModel, edits: int, steps: int) -> Callable[[], Figure]:
    """What times a bare loop in this process: walk and synthesis, no server, no encoding."""
    attribute = model.card.attributes[0]
    planned = plan_edit(model.card, attribute.name, attribute.classes[-1], steps)
    local, psi = load_local(model), model.card.truncation
    return lambda: timed(LOOP, 1, edits, lambda seed: edit_seed(local, seed, planned, psi))


def measure(model: StoredModel, clients: tuple[int, ...], edits: int, steps: int) -> list[Figure]:
    """The loop before and after, the service, the one-lock server, the service without batches."""
    service = ("service", "--port", "{port}", "--grpc-port", "0", "--models", model.tag)
    loop = loop_of(model, edits, steps)
    loop()  # warm-up
    figures = [loop()]
    with server(*service) as url:
        figures += served("service", url, model, clients, edits, steps)
    with server("benchmarks.one_lock", model.tag, "{port}") as url:
        figures += served("one lock", url, model, clients, edits, steps)
    with server(*service, GRADCTRL_MAX_BATCH_SIZE="1") as url:
        figures += served("service, no batches", url, model, (16,), edits, steps)
    return [*figures, loop()]


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="avatars")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--edits", type=int, default=320, help="edits of every row")
    parser.add_argument("--clients", default="1,4,16,64")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the runners do
    clients = tuple(int(part) for part in arguments.clients.split(","))
    model = find_model(arguments.model)
    figures = measure(model, clients, arguments.edits, arguments.steps)
    loops = [one.edits_per_s for one in figures if one.name == LOOP]
    mean = sum(loops) / len(loops)
    title = f"{model.card.name}, {model.card.resolution} px, {arguments.steps} steps, all frames"
    table = Table(title=title)
    for column in ("what", "clients", "edits/s", "p50 ms", "p99 ms", "errors", "against the loop"):
        table.add_column(column, justify="right")
    for one in figures:
        table.add_row(
            one.name,
            str(one.clients),
            f"{one.edits_per_s:.1f}",
            f"{one.p50_ms:.0f}",
            f"{one.p99_ms:.0f}",
            str(one.errors),
            f"{one.edits_per_s / mean:.2f}x",
        )
    console.print(table)
    file = save(f"service-{model.card.name}", [asdict(one) for one in figures])
    console.print(f"wrote {file}")


if __name__ == "__main__":
    main()
