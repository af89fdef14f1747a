"""Half an hour at 80 % of what the service can do: latency, errors and memory by minute.

Edits arrive at random times (Poisson), whether earlier ones are answered or not, and their latency
counts from when they were due. Client and service share the machine. Ctrl-C ends it early, with the
figures so far: `docs/images/steady_load.png`.

    python -m benchmarks.steady_load [--minutes 30] [--share 0.8] [--output FILE]
"""

import argparse
import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks.pairs import save
from benchmarks.scale import memory_mb, wish
from benchmarks.service import server
from model_store import StoredModel, find_model

STEPS = 8
CLOSED_CLIENTS = 16  # of the measurement of what the service can do
CLOSED_S = 60.0
MEMORY_EVERY_S = 20.0
MOST_OPEN = 512  # edits under way before arrivals are counted as lost; far above a healthy service
console = Console()


@dataclass
class Seen:
    """What became of edits, and how much memory the service had."""

    due_s: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)  # second, MB

    def by_minute(self) -> list[dict[str, float]]:
        """Edits, p50 and p99 of every minute that has any."""
        minutes = np.asarray(self.due_s) // 60
        times = np.asarray(self.ms)
        return [
            {
                "minute": float(minute),
                "edits": float((minutes == minute).sum()),
                "p50_ms": float(np.percentile(times[minutes == minute], 50)),
                "p99_ms": float(np.percentile(times[minutes == minute], 99)),
            }
            for minute in np.unique(minutes)
        ]


class Load:
    """Sends edits of ever new seeds, none of which an answer is kept of."""

    def __init__(self, client: httpx.AsyncClient, model: StoredModel, seen: Seen) -> None:
        self._client = client
        self._model = model
        self._seen = seen
        self._seed = 0
        self.open: set[asyncio.Task[None]] = set()

    async def closed(self, seconds: float) -> float:
        """Edits per second of clients that wait for their answers."""
        ends = time.perf_counter() + seconds
        counts = await asyncio.gather(*(self._until(ends) for _ in range(CLOSED_CLIENTS)))
        return sum(counts) / seconds

    async def arrive(self, rate: float, seconds: float, on_second: Callable[[float], None]) -> None:
        """Edits at random times; returns when the last one is answered."""
        chance = random.Random(0)
        began = due = time.perf_counter()
        while (due := due + chance.expovariate(rate)) < began + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if len(self.open) >= MOST_OPEN:
                self._seen.errors.append("not sent: too many under way")
                continue
            task = asyncio.create_task(self._timed(due, due - began))
            self.open.add(task)
            task.add_done_callback(self.open.discard)
            on_second(due - began)
        await asyncio.gather(*self.open)

    async def _until(self, ends: float) -> int:
        count = 0
        while time.perf_counter() < ends:
            await self._edit()
            count += 1
        return count

    async def _timed(self, due: float, second: float) -> None:
        try:
            await self._edit()
        except (httpx.HTTPError, AssertionError) as error:
            self._seen.errors.append(repr(error)[:200])
            return
        self._seen.due_s.append(second)
        self._seen.ms.append((time.perf_counter() - due) * 1000)

    async def _edit(self) -> None:
        self._seed += 1
        answer = await self._client.post("/v1/edit", json=wish(self._model, STEPS, self._seed))
        assert answer.status_code == httpx.codes.OK, answer.text[:200]
        assert answer.content.count(b'"image":') == STEPS + 1


async def watch_memory(url: str, seen: Seen) -> None:
    """Add the memory of the service to what is seen, until cancelled."""
    began = time.perf_counter()
    while True:
        seen.memory.append((time.perf_counter() - began, await asyncio.to_thread(memory_mb, url)))
        await asyncio.sleep(MEMORY_EVERY_S)


async def run(url: str, model: StoredModel, share: float, seconds: float, seen: Seen) -> float:
    """Measure what the service can do, then load it; returns the edits per second it was asked."""
    limits = httpx.Limits(max_connections=MOST_OPEN)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        load = Load(client, model, seen)
        rate = share * await load.closed(CLOSED_S)
        console.print(
            f"{rate / share:.1f} edits/s with {CLOSED_CLIENTS} clients; asking {rate:.1f}"
        )
        watching = asyncio.create_task(watch_memory(url, seen))
        with Progress(console=console) as progress:
            bar = progress.add_task(f"{share:.0%} load", total=seconds)
            try:
                await load.arrive(rate, seconds, lambda at: progress.update(bar, completed=at))
            except asyncio.CancelledError:
                console.print("stopped early")
            finally:
                watching.cancel()
        return rate


def draw(seen: Seen, title: str, file: Path) -> None:
    """Latency and memory by minute."""
    rows = seen.by_minute()
    figure, (above, below) = plt.subplots(2, figsize=(9, 5), sharex=True)
    minutes = [row["minute"] + 0.5 for row in rows]
    above.plot(minutes, [row["p99_ms"] for row in rows], label="p99", color="#c96f4a")
    above.plot(minutes, [row["p50_ms"] for row in rows], label="p50", color="#4c6fae")
    above.set_ylim(bottom=0)
    above.set_ylabel("ms")
    above.legend(frameon=False)
    below.plot([s / 60 for s, _ in seen.memory], [mb for _, mb in seen.memory], color="#7a9a57")
    below.set_ylim(bottom=0)
    below.set_ylabel("memory, MB")
    below.set_xlabel("minutes")
    above.set_title(title)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=130, bbox_inches="tight")


def summary(seen: Seen, rate: float, share: float) -> dict[str, Any]:
    """The figures of the whole."""
    times = np.asarray(seen.ms)
    memory = np.asarray(seen.memory)
    late = memory[memory[:, 0] > memory[-1, 0] / 2]  # the first half warms up
    slope = float(np.polyfit(late[:, 0] / 3600, late[:, 1], 1)[0]) if len(late) > 1 else 0.0
    return {
        "share": share,
        "asked_per_s": rate,
        "edits": len(seen.ms),
        "minutes": max(seen.due_s) / 60,
        "p50_ms": float(np.percentile(times, 50)),
        "p99_ms": float(np.percentile(times, 99)),
        "max_ms": float(times.max()),
        "errors": len(seen.errors),
        "error_kinds": sorted(set(seen.errors))[:10],
        "memory_mb_first": float(memory[0, 1]),
        "memory_mb_last": float(memory[-1, 1]),
        "memory_mb_max": float(memory[:, 1].max()),
        "memory_mb_per_hour_second_half": slope,
    }


def main() -> None:
    """Load, print, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="avatars")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--share", type=float, default=0.8, help="of what the service can do")
    parser.add_argument("--output", type=Path, default=Path("docs/images/steady_load.png"))
    arguments = parser.parse_args()
    model, seen = find_model(arguments.model), Seen()
    command = ("service", "--port", "{port}", "--grpc-port", "0", "--models", model.tag)
    with server(*command) as url:
        rate = asyncio.run(run(url, model, arguments.share, arguments.minutes * 60, seen))
    found = summary(seen, rate, arguments.share)
    console.print_json(data=found)
    title = (
        f"{model.card.name}, {found['edits']} edits at {rate:.1f}/s, {arguments.share:.0%} of what "
        f"the service can do, {found['errors']} errors"
    )
    draw(seen, title, arguments.output)
    rows = {"whole": found, "minutes": seen.by_minute(), "memory": seen.memory}
    console.print(f"wrote {save('steady_load', rows)} and {arguments.output}")


if __name__ == "__main__":
    main()
