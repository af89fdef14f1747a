"""Throughput of the real service on `celeba`: 1 and 16 clients, and how much of it is synthesis.

The peer in the same run is the bare in-process loop: walk and synthesis of one edit at a time,
no server, no encoding.

    python -m benchmarks.service [--edits 20]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from gradctrl_client import Client
from rich.console import Console
from rich.table import Table

from clients.examples.demo import service
from export.strips import edit_seed, load_local
from model_store import find_model, plan_edit

STEPS = 8
CLIENTS = (1, 16)
console = Console()


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    edits_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


def timed(name: str, clients: int, edits: int, call: Callable[[int], object]) -> Figure:
    """`clients` callers with `edits` calls each, all at once."""
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
        list(pool.map(one, range(clients * edits)))
    elapsed = time.perf_counter() - started
    p50, p99 = np.percentile(times, [50, 99])
    return Figure(name, clients * edits / elapsed, float(p50), float(p99), len(errors))


def synthesis_ms(frames: int) -> float:
    """Milliseconds to render the frames of one edit in this process, median of 20."""
    generator = find_model("celeba").generator()
    latents = torch.randn(frames, 1, generator.card.z_dim)
    times = []
    with torch.inference_mode():
        for _ in range(23):
            started = time.perf_counter()
            generator.synthesis(latents)
            times.append((time.perf_counter() - started) * 1000)
    return float(np.median(times[3:]))


def measure(edits: int, log: Path) -> tuple[list[Figure], float]:
    """Figures of the loop and of the service, and the synthesis share of one busy edit."""
    model = find_model("celeba")
    planned = plan_edit(model.card, "smile", "smiling", STEPS)
    local = load_local(model)
    figures = [
        timed("in-process loop", 1, edits, lambda seed: edit_seed(local, seed, planned, 1.0))
    ]
    with service(log) as (url, _), Client(url) as client:

        def call(seed: int) -> object:
            return client.edit("smile", "smiling", seed=seed, steps=STEPS)

        timed("warm-up", 4, 5, call)
        for clients in CLIENTS:
            figures.append(timed(f"service, {clients} clients", clients, edits, call))
    share = synthesis_ms(STEPS + 1) / 1000 * figures[-1].edits_per_s
    return figures, share


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=20, help="edits per client")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/service.json"))
    arguments = parser.parse_args()
    figures, share = measure(arguments.edits, Path("benchmarks/service.log"))
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    table = Table(title=f"edits of {STEPS} steps, all frames ({machine})")
    for column in ("what", "edits/s", "p50 ms", "p99 ms", "errors", "against the loop"):
        table.add_column(column, justify="right")
    for one in figures:
        ratio = one.edits_per_s / figures[0].edits_per_s
        table.add_row(
            one.name,
            f"{one.edits_per_s:.1f}",
            f"{one.p50_ms:.0f}",
            f"{one.p99_ms:.0f}",
            str(one.errors),
            f"{ratio:.2f}x",
        )
    table.caption = f"synthesis is {share:.0%} of the time at {CLIENTS[-1]} clients"
    console.print(table)
    arguments.json.write_text(
        json.dumps(
            {
                "machine": machine,
                "synthesis_share": share,
                "figures": [asdict(one) for one in figures],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
