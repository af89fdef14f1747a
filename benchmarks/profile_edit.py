"""Where the time of one edit goes, with the floor of each part: `docs/images/profile.png`.

Parts are timed alone in this process, then edits over HTTP; what is left of the service's own times
is the way between processes. All with torch's own number of threads. A floor is the longer of two
times, at rates of the same run: of the floating-point operations at that of a large matrix product,
and of the bytes that must be read and written once (weights, what goes in, what comes out) at that
of a large copy.

    python -m benchmarks.profile_edit [--model avatars] [--repeats 40] [--output FILE]
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pairs import medians, save
from benchmarks.service import STEPS, server
from editing import walk_latents
from export.strips import load_local
from model_store import StoredModel, find_model, keep_freed_memory, plan_edit, to_pixels, walk_plan
from service.images import Encoding, encode

MATRIX = 1024  # of the product that gives the machine's rate of operations
COPIED = 64 * 2**20  # bytes of the copy that gives its rate of bytes
FLOAT = 4  # bytes
COLOURS = ("#4c6fae", "#9db4d8", "#c96f4a", "#e3b98f", "#7a9a57", "#b9b9b9")
console = Console()


@dataclass(frozen=True)
class Part:
    """A part of an edit and what it cannot do without."""

    name: str
    ms: float
    operations: int  # floating-point ones
    bytes: int

    def floor_ms(self, rates: "Rates") -> float:
        """The time of its operations or of its bytes, whichever is longer."""
        return max(self.operations / rates.operations, self.bytes / rates.bytes)


@dataclass(frozen=True)
class Rates:
    """What this machine does in a millisecond."""

    operations: float
    bytes: float


@dataclass(frozen=True)
class Alone:
    """Parts that were timed without a service, and bytes of what goes between all of them."""

    ms: dict[str, float]
    operations: dict[str, int]
    weights: dict[str, int]  # bytes
    path: int  # bytes of the latents of all frames, and of what the heads say of them
    pixels: int  # bytes
    files: int  # bytes of the encoded frames
    rates: Rates


def alone_of(model: StoredModel, repeats: int) -> Alone:
    """Walk, synthesis and encoding in this process."""
    local = load_local(model)
    attribute = model.card.attributes[0]
    planned = plan_edit(model.card, attribute.name, attribute.classes[-1], STEPS, step_size=0.05)
    plan, ranges = walk_plan([planned], torch.device("cpu"))
    start = torch.randn(1, *model.card.latent_shape, generator=torch.manual_seed(0)) * 0.3
    square, source = torch.randn(MATRIX, MATRIX), torch.zeros(COPIED, dtype=torch.uint8)
    target = torch.empty_like(source)
    with torch.inference_mode():
        walked = walk_latents(local.heads, start, plan, ranges)
        frames = walked.latents[0]
        pixels = to_pixels(local.generator.synthesis(frames))
        png = Encoding("png", 90, None)
        runs: dict[str, Callable[[], Any]] = {
            "walk": lambda: walk_latents(local.heads, start, plan, ranges),
            "synthesis": lambda: to_pixels(local.generator.synthesis(frames)),
            "encoding": lambda: [encode(frame, png) for frame in pixels],
            "product": lambda: square @ square,
            "copy": lambda: target.copy_(source),
        }
        found = {name: 1e3 * seconds for name, seconds in medians(runs, repeats).items()}
        operations = {name: _flops(runs[name]) for name in ("walk", "synthesis")}
    heads = (getattr(local.heads, field.name) for field in fields(local.heads))
    return Alone(
        found,
        operations,
        {
            "walk": _bytes_of(heads),
            "synthesis": _bytes_of(local.generator.state().values()),
        },
        _bytes_of([frames, walked.trajectory.probabilities]),
        pixels.nbytes,
        sum(len(file) for file in runs["encoding"]()),
        Rates(2 * MATRIX**3 / found["product"], 2 * COPIED / found["copy"]),
    )


def parts_of(alone: Alone, seen: dict[str, float]) -> list[Part]:
    """All parts of an edit, in order; ways between processes are what is left."""
    walk, synthesis, encoding = (alone.ms[name] for name in ("walk", "synthesis", "encoding"))
    to_walk = max(0, seen["trajectory"] - walk)
    to_render = max(0, seen["render"] - synthesis - encoding)
    http = seen["client"] - seen["trajectory"] - seen["render"]
    moved = alone.path + alone.files  # latents to the runner, files back
    return [
        Part("walk", walk, alone.operations["walk"], alone.weights["walk"] + alone.path),
        Part("way to the ClassifierRunner", to_walk, 0, alone.path),
        Part(
            "synthesis",
            synthesis,
            alone.operations["synthesis"],
            alone.weights["synthesis"] + alone.path + alone.pixels,
        ),
        Part("encoding", encoding, 0, alone.pixels + alone.files),
        Part("way to the GeneratorRunner", to_render, 0, moved),
        Part("HTTP and JSON", http, 0, int(seen["bytes"])),
    ]


def _bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(one.numel() * FLOAT for one in tensors)


def _flops(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def service_ms(model: StoredModel, repeats: int) -> dict[str, float]:
    """Medians: milliseconds that a client waits and what the service says of them; bytes."""
    attribute = model.card.attributes[0]
    edit = {"attribute": attribute.name, "target": attribute.classes[-1], "steps": STEPS}
    names = ("client", "trajectory", "render", "total", "bytes")
    seen: dict[str, list[float]] = {name: [] for name in names}
    command = ("service", "--port", "{port}", "--grpc-port", "0", "--models", model.tag)
    with server(*command) as url, httpx.Client(base_url=url, timeout=60) as client:
        for seed in range(repeats + 5):
            body = {"source": {"seed": seed}, "edits": [{**edit, "step_size": 0.05}]}
            answer = client.post("/v1/edit", json=body).raise_for_status()
            if seed >= 5:
                seen["client"].append(1e3 * answer.elapsed.total_seconds())
                seen["bytes"].append(len(answer.request.content) + len(answer.content))
                for name, value in answer.json()["timings_ms"].items():
                    seen[name].append(value)
    return {name: median(times) for name, times in seen.items()}


def draw(axes: Axes, parts: Sequence[Part], rates: Rates) -> None:
    """One bar of the parts, ticks where a part's floor would end."""
    left = 0.0
    for part, colour in zip(parts, COLOURS, strict=True):
        floor = part.floor_ms(rates)
        label = f"{part.name}  {part.ms:.1f} ms (floor {floor:.2g})"
        axes.barh(0, part.ms, left=left, color=colour, label=label)
        axes.plot([left + floor] * 2, [-0.4, 0.4], color="black", linewidth=1.2)
        left += part.ms
    axes.set_yticks([])
    axes.set_xlabel("milliseconds; a black line is where the part's floor would end")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.35), ncols=2, frameon=False)


def as_table(parts: Sequence[Part], rates: Rates, client_ms: float) -> Table:
    """For the terminal."""
    table = Table("part", "ms", "Mflop", "kB", "floor ms")
    for part in parts:
        counts = f"{part.operations / 1e6:,.1f}", f"{part.bytes / 1e3:,.0f}"
        table.add_row(part.name, f"{part.ms:.1f}", *counts, f"{part.floor_ms(rates):.3f}")
    table.add_row("client", f"{client_ms:.1f}")
    return table


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="avatars")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--output", type=Path, default=Path("docs/images/profile.png"))
    arguments = parser.parse_args()
    keep_freed_memory()  # as the runners do
    model = find_model(arguments.model)
    alone = alone_of(model, arguments.repeats)
    seen = service_ms(model, arguments.repeats)
    parts = parts_of(alone, seen)
    console.print(as_table(parts, alone.rates, seen["client"]))
    figure, axes = plt.subplots(figsize=(9, 2.4))
    axes.set_title(
        f"One edit of {model.card.name}, {STEPS} steps, {STEPS + 1} frames of "
        f"{model.card.resolution} px: {seen['client']:.0f} ms"
    )
    draw(axes, parts, alone.rates)
    figure.savefig(arguments.output, dpi=130, bbox_inches="tight")
    rows = [{**asdict(part), "floor_ms": part.floor_ms(alone.rates)} for part in parts]
    save("profile", {"parts": rows, "rates": asdict(alone.rates), "service": seen})
    console.print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
