"""StyleGAN2 synthesis: ours, in bfloat16, compiled and by ONNX Runtime, against the textbook one.

Random weights at config-f widths, all in turns in one process. The textbook path modulates weights
per sample and convolves in groups. Operations are those that torch counts of ours (the textbook's:
of its own); their share is of the rate of a large float32 product in the same run.

    python -m benchmarks.synthesis [--resolution 256] [--batches 1,4,16] [--repeats 5] [--compile]
        [--give-back]
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pairs import medians, save
from export.onnx_export import export_onnx
from model_store import (
    ModelCard,
    Provenance,
    Stylegan2,
    keep_freed_memory,
    open_onnx,
    save_model,
)
from model_store.networks.stylegan2_initial import Stylegan2Sizes, initial_tensors
from model_store.networks.stylegan2_plain import plain_synthesis

MATRIX = 2048  # of the product that gives the machine's rate
TEXTBOOK, OURS = "textbook", "ours"
Ways = dict[str, Callable[[Tensor], Tensor]]
console = Console()


def make_generator(resolution: int) -> Stylegan2:
    """A config-f generator with random weights."""
    sizes = Stylegan2Sizes.config_f(resolution)
    tensors = initial_tensors(sizes, torch.Generator().manual_seed(0))
    card = ModelCard(
        name="random",
        family="stylegan2",
        resolution=resolution,
        z_dim=sizes.z_dim,
        w_dim=sizes.w_dim,
        num_ws=2 * len(sizes.channels),
        spaces=("w_plus",),
        provenance=Provenance(source="random", source_sha256="0" * 64, licence="Apache-2.0"),
    )
    return Stylegan2(card, tensors)


def ways_of(generator: Stylegan2, compiles: bool) -> Ways:
    """Latents to images, by name."""
    state, half = generator.state(), generator.to("cpu", torch.bfloat16)
    stored = export_onnx(save_model(generator, generator.card, {}))[0]
    ways: Ways = {
        TEXTBOOK: lambda latents: plain_synthesis(state, latents),
        OURS: generator.synthesis,
        "bfloat16": half.synthesis,
        "ONNX Runtime": open_onnx(stored, "cpu", torch.get_num_threads()).synthesis,
    }
    if compiles:
        ways["torch.compile"] = torch.compile(generator.synthesis, fullgraph=True, dynamic=False)
    return ways


@torch.inference_mode()
def compare(generator: Stylegan2, ways: Ways, batch: int, repeats: int) -> list[dict[str, Any]]:
    """A row per way."""
    z = torch.randn(batch, generator.card.z_dim, generator=torch.Generator().manual_seed(batch))
    latents = generator.mapping(z, psi=0.7)
    square = torch.randn(MATRIX, MATRIX)
    images = {name: way(latents).float() for name, way in ways.items()}
    runs: dict[str, Callable[[], object]] = {
        name: lambda way=way: way(latents)  # type: ignore[misc]
        for name, way in ways.items()
    }
    seconds = medians({**runs, "product": lambda: square @ square}, repeats)
    rate = 2 * MATRIX**3 / seconds.pop("product")
    counts = {name: _flops(runs[name]) for name in (TEXTBOOK, OURS)}
    truth = images[TEXTBOOK]
    return [
        {
            "batch": batch,
            "way": name,
            "seconds": found,
            "ratio": seconds[TEXTBOOK] / found,
            "gflops": counts.get(name, counts[OURS]) / found / 1e9,
            "share": counts.get(name, counts[OURS]) / found / rate,
            "difference": float((images[name] - truth).abs().max()),
            "psnr_db": _decibels(images[name], truth),
        }
        for name, found in seconds.items()
    ]


def _flops(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def _decibels(images: Tensor, truth: Tensor) -> float:
    """PSNR of images whose range is -1..1."""
    error = (images - truth).square().mean().clamp_min(torch.finfo(torch.float32).tiny)
    return float(10 * torch.log10(4 / error))


def main() -> None:
    """Print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--batches", default="1,4,16")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument(
        "--give-back", action="store_true", help="free memory as glibc does, unlike the service"
    )
    options = parser.parse_args()
    if not options.give_back:
        keep_freed_memory()
    generator = make_generator(options.resolution)
    ways = ways_of(generator, options.compile)
    columns = ("batch", "way", "s", "ratio", "GFLOP/s", "of a product", "difference", "PSNR")
    table = Table(*columns, title=f"config-f, {options.resolution} px")
    rows = []
    for batch in (int(part) for part in options.batches.split(",")):
        for row in compare(generator, ways, batch, options.repeats):
            rows.append(row)
            table.add_row(
                str(row["batch"]),
                row["way"],
                f"{row['seconds']:.3f}",
                f"{row['ratio']:.2f}x",
                f"{row['gflops']:.0f}",
                f"{row['share']:.0%}",
                f"{row['difference']:.1e}",
                f"{row['psnr_db']:.0f} dB",
            )
    console.print(table)
    console.print(f"wrote {save('synthesis', rows)}")


if __name__ == "__main__":
    main()
