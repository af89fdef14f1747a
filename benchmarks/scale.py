"""How cost grows: with frames, with models loaded, over thousands of edits; and time to start.

python -m benchmarks.scale [--model avatars] [--edits 5000]
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.progress import track

from benchmarks.pairs import save
from benchmarks.service import server
from model_store import StoredModel, find_model, list_models

STEPS = (1, 2, 4, 8, 16, 32, 64)
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
        if {"service", port} <= set(process.info["cmdline"] or ())
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
                        "/v1/edit", json=wish(model, 8, seed)
                    ).raise_for_status(),
                    seeds,
                )
            )
            found.append(memory_mb(url))
    return found


def start_seconds(models: str) -> float:
    """From the command to ready, median."""
    times = []
    for _ in range(STARTS):
        started = time.perf_counter()
        with server("service", "--port", "{port}", "--grpc-port", "0", "--models", models):
            times.append(time.perf_counter() - started)
    return median(times)


def main() -> None:
    """Print what was found, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="avatars")
    parser.add_argument("--edits", type=int, default=5000)
    arguments = parser.parse_args()
    model = find_model(arguments.model)
    every = ",".join(one.tag for one in list_models())
    found: dict[str, Any] = {
        "start_s": {model.card.name: start_seconds(model.tag), "all models": start_seconds(every)}
    }
    for name, models in ((model.card.name, model.tag), ("all models", every)):
        with (
            server("service", "--port", "{port}", "--grpc-port", "0", "--models", models) as url,
            httpx.Client(base_url=url, timeout=120) as client,
        ):
            found[f"frames, {name}"] = by_frames(client, model)
            if models == model.tag:
                found["memory_mb"] = over_time(client, url, model, arguments.edits)
    console.print_json(data=found)
    console.print(f"wrote {save('scale', found)}")


if __name__ == "__main__":
    main()
