"""How cost grows: with frames, models loaded, requests in flight, over thousands of edits.

python -m benchmarks.scale [--model avatars] [--edits 5000] [--calls 320]
"""

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from statistics import mean, median
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.progress import track

from benchmarks.pairs import save
from benchmarks.service import loop_of, served, server
from model_store import StoredModel, find_model, keep_freed_memory, list_models

STEPS = (1, 2, 4, 8, 16, 32, 64)
IN_FLIGHT = (1, 2, 4, 8, 16, 32, 64)  # clients that wait for one answer each
TYPICAL = 8  # steps of an edit where another thing grows
ROUNDS = 15
STARTS = 3
CLIENTS = 8
CHECKS = 10  # times that memory is looked at
console = Console()


def wish(model: StoredModel, steps: int, seed: int) -> dict[str, Any]:
    """A request of so many steps; a small step size, so that every step is taken."""
    attribute = model.card.attributes[0]
    edit = {"attribute": attribute.name, "target": attribute.classes[-1], "steps": steps}
    return {"model": model.tag, "source": {"seed": seed}, "edits": [{**edit, "step_size": 0.05}]}


def memory_mb(url: str) -> float:
    """Resident memory, without what processes share, of the tree that listens at a URL."""
    port = str(httpx.URL(url).port)
    tree = [
        process
        for process in psutil.process_iter(["cmdline"])
        if port in (words := process.info["cmdline"] or []) and {"service", "serve"} & set(words)
    ]
    every = [one for process in tree for one in (process, *process.children(recursive=True))]
    return sum(float(one.memory_full_info().uss) for one in every) / 1e6


def by_frames(client: httpx.Client, model: StoredModel) -> list[dict[str, float]]:
    """Median milliseconds by number of steps, in turns."""
    times: dict[int, list[float]] = {steps: [] for steps in STEPS}
    for number in range(ROUNDS + 1):
        for steps in STEPS:
            started = time.perf_counter()
            client.post("/v1/edit", json=wish(model, steps, 1000 + number)).raise_for_status()
            times[steps].append((time.perf_counter() - started) * 1e3)
    return [
        {
            "frames": steps + 1,
            "ms": median(found[1:]),
            "ms_per_frame": median(found[1:]) / (steps + 1),
        }
        for steps, found in times.items()
    ]


def over_time(client: httpx.Client, url: str, model: StoredModel, edits: int) -> list[float]:
    """Memory in MB, after each tenth of the edits."""
    found = [memory_mb(url)]
    part = edits // CHECKS
    with ThreadPoolExecutor(CLIENTS) as pool:
        for number in track(range(CHECKS), description="memory", console=console):
            seeds = range(10_000 + number * part, 10_000 + (number + 1) * part)
            list(
                pool.map(
                    lambda seed: client.post(
                        "/v1/edit", json=wish(model, TYPICAL, seed)
                    ).raise_for_status(),
                    seeds,
                )
            )
            found.append(memory_mb(url))
    return found


def command(models: Sequence[StoredModel]) -> tuple[str, ...]:
    """That of a service with these models."""
    tags = ",".join(one.tag for one in models)
    return ("service", "--port", "{port}", "--grpc-port", "0", "--models", tags)


def start_seconds(models: Sequence[StoredModel]) -> float:
    """From the command to ready, median."""
    times = []
    for _ in range(STARTS):
        started = time.perf_counter()
        with server(*command(models)):
            times.append(time.perf_counter() - started)
    return median(times)


def by_models(models: Sequence[StoredModel]) -> list[dict[str, Any]]:
    """With the first model loaded, with two, and so on: start, memory, edits of the first one."""
    found = []
    for number in range(1, len(models) + 1):
        some = models[:number]
        seconds = start_seconds(some)
        with server(*command(some)) as url, httpx.Client(base_url=url, timeout=120) as client:
            at_start = memory_mb(url)
            for model in some:  # so that each has worked
                client.post("/v1/edit", json=wish(model, TYPICAL, 0)).raise_for_status()
            frames = by_frames(client, models[0])
            found.append(
                {
                    "models": number,
                    "ready_s": seconds,
                    "memory_mb_at_start": at_start,
                    "memory_mb_at_work": memory_mb(url),
                    "edit_ms": frames[STEPS.index(TYPICAL)]["ms"],
                    "by_frames": frames,
                }
            )
    return found


def in_flight(model: StoredModel, calls: int) -> list[dict[str, Any]]:
    """Edits a second and latency by requests in flight, against a bare loop before and after."""
    loop = loop_of(model, calls, TYPICAL)
    loop()  # warm-up
    loops = [loop()]
    with server(*command([model])) as url:
        figures = served("service", url, model, IN_FLIGHT, calls, TYPICAL)
    loops.append(loop())
    rate = mean(one.edits_per_s for one in loops)
    return [{**asdict(one), "of_loop": one.edits_per_s / rate} for one in (*loops, *figures)]


def main() -> None:
    """Print what was found, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="avatars")
    parser.add_argument("--edits", type=int, default=5000, help="while memory is looked at")
    parser.add_argument("--calls", type=int, default=320, help="of each number in flight")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the runners do
    model = find_model(arguments.model)
    others = [one for one in list_models() if one.card.name != model.card.name]
    found: dict[str, Any] = {
        "models": by_models([model, *others]),
        "in_flight": in_flight(model, arguments.calls),
    }
    with server(*command([model])) as url, httpx.Client(base_url=url, timeout=120) as client:
        found["memory_mb"] = over_time(client, url, model, arguments.edits)
    console.print_json(data=found)
    console.print(f"wrote {save('scale', found)}")


if __name__ == "__main__":
    main()
