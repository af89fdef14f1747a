"""Where the time of one edit goes, with the floor of each part: `docs/images/profile.png`.

Parts are timed alone in this process, then edits over HTTP; what is left of the service's own times
is the way between processes. All with torch's own number of threads. Floors: the floating-point
operations at the rate of a large matrix product on this machine, in the same run.

    python -m benchmarks.profile_edit [--model avatars] [--repeats 40] [--output FILE]
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pairs import medians, save
from benchmarks.service import STEPS, server
from editing import walk_latents
from export.strips import load_local
from model_store import StoredModel, find_model, plan_edit, to_pixels, walk_plan
from service.images import Encoding, encode

MATRIX = 1024  # of the product that gives the machine's rate
COLOURS = ("#4c6fae", "#9db4d8", "#c96f4a", "#e3b98f", "#7a9a57", "#b9b9b9")
console = Console()


def parts_ms(model: StoredModel, repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds and floors in milliseconds of walk, synthesis and encoding."""
    local = load_local(model)
    attribute = model.card.attributes[0]
    planned = plan_edit(model.card, attribute.name, attribute.classes[-1], STEPS, step_size=0.05)
    plan, ranges = walk_plan([planned], torch.device("cpu"))
    start = torch.randn(1, *model.card.latent_shape, generator=torch.manual_seed(0)) * 0.3
    square = torch.randn(MATRIX, MATRIX)
    with torch.inference_mode():
        frames = walk_latents(local.heads, start, plan, ranges).latents[0]
        pixels = to_pixels(local.generator.synthesis(frames))
        png = Encoding("png", 90, None)
        runs: dict[str, Callable[[], Any]] = {
            "walk": lambda: walk_latents(local.heads, start, plan, ranges),
            "synthesis": lambda: to_pixels(local.generator.synthesis(frames)),
            "encoding": lambda: [encode(frame, png) for frame in pixels],
            "product": lambda: square @ square,
        }
        found = {name: 1e3 * seconds for name, seconds in medians(runs, repeats).items()}
        counts = {name: _flops(runs[name]) for name in ("walk", "synthesis")}
    rate = 2 * MATRIX**3 / found.pop("product")  # operations per millisecond
    return found, {name: count / rate for name, count in counts.items()}


def _flops(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def service_ms(model: StoredModel, repeats: int) -> dict[str, float]:
    """Median milliseconds that a client waits, and what the service says of them."""
    attribute = model.card.attributes[0]
    edit = {"attribute": attribute.name, "target": attribute.classes[-1], "steps": STEPS}
    seen: dict[str, list[float]] = {"client": [], "trajectory": [], "render": [], "total": []}
    command = ("service", "--port", "{port}", "--grpc-port", "0", "--models", model.tag)
    with server(*command) as url, httpx.Client(base_url=url, timeout=60) as client:
        for seed in range(repeats + 5):
            body = {"source": {"seed": seed}, "edits": [{**edit, "step_size": 0.05}]}
            answer = client.post("/v1/edit", json=body).raise_for_status()
            if seed >= 5:
                seen["client"].append(1e3 * answer.elapsed.total_seconds())
                for name, value in answer.json()["timings_ms"].items():
                    seen[name].append(value)
    return {name: median(times) for name, times in seen.items()}


def draw(axes: Axes, rows: list[dict[str, Any]], floors: dict[str, float]) -> None:
    """One bar of the parts, ticks where a part's floor would end."""
    left = 0.0
    for row, colour in zip(rows, COLOURS, strict=True):
        label = f"{row['part']}  {row['ms']:.1f} ms"
        axes.barh(0, row["ms"], left=left, color=colour, label=label)
        if row["part"] in floors:
            end = left + floors[row["part"]]
            axes.plot([end, end], [-0.4, 0.4], color="black", linewidth=1.2)
        left += row["ms"]
    axes.set_yticks([])
    axes.set_xlabel("milliseconds; a black line is where the part's floor would end")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.35), ncols=3, frameon=False)


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="avatars")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--output", type=Path, default=Path("docs/images/profile.png"))
    arguments = parser.parse_args()
    model = find_model(arguments.model)
    alone, floors = parts_ms(model, arguments.repeats)
    seen = service_ms(model, arguments.repeats)
    rows = [
        {"part": "walk", "ms": alone["walk"]},
        {"part": "way to the ClassifierRunner", "ms": max(0, seen["trajectory"] - alone["walk"])},
        {"part": "synthesis", "ms": alone["synthesis"]},
        {"part": "encoding", "ms": alone["encoding"]},
        {
            "part": "way to the GeneratorRunner",
            "ms": max(0, seen["render"] - alone["synthesis"] - alone["encoding"]),
        },
        {"part": "HTTP and JSON", "ms": seen["client"] - seen["trajectory"] - seen["render"]},
    ]
    table = Table("part", "ms", "floor ms")
    for row in rows:
        floor = floors.get(str(row["part"]))
        table.add_row(str(row["part"]), f"{row['ms']:.1f}", "" if floor is None else f"{floor:.2f}")
    table.add_row("client", f"{seen['client']:.1f}", "")
    console.print(table)
    figure, axes = plt.subplots(figsize=(9, 2.4))
    axes.set_title(
        f"One edit of {model.card.name}, {STEPS} steps, {STEPS + 1} frames of "
        f"{model.card.resolution} px: {seen['client']:.0f} ms"
    )
    draw(axes, rows, floors)
    figure.savefig(arguments.output, dpi=130, bbox_inches="tight")
    save("profile", {"parts": rows, "floors": floors, "service": seen})
    console.print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
