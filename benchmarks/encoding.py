"""Encoding of one frame: time and size of PNG levels, JPEG and WebP, on frames of stored models.

python -m benchmarks.encoding [avatars celeba] [--repeats 9]
"""

import argparse
import io
from collections.abc import Callable
from functools import partial

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.pairs import medians, save
from export.sampling import sample_latents
from model_store import StoredModel, find_model, to_pixels

FRAMES = 32
FORMATS: dict[str, tuple[str, dict[str, int | bool]]] = {
    "PNG, level 1 (ours)": ("PNG", {"compress_level": 1}),
    "PNG, level 3": ("PNG", {"compress_level": 3}),
    "PNG, level 6": ("PNG", {"compress_level": 6}),
    "PNG, level 9": ("PNG", {"compress_level": 9}),
    "JPEG, quality 90": ("JPEG", {"quality": 90}),
    "WebP, quality 90": ("WEBP", {"quality": 90}),
    "WebP, lossless": ("WEBP", {"lossless": True}),
}


def encoded(frames: list[Image.Image], format: str, options: dict[str, int | bool]) -> int:
    """Bytes of all frames."""
    total = 0
    for frame in frames:
        file = io.BytesIO()
        frame.save(file, format, **options)
        total += file.tell()
    return total


def compare(model: StoredModel, repeats: int) -> list[dict[str, object]]:
    """Microseconds and bytes of a frame, by format."""
    with torch.inference_mode():
        latents = sample_latents(model.generator(), list(range(FRAMES)), model.card.truncation)
        frames = [Image.fromarray(one) for one in to_pixels(model.generator().synthesis(latents))]
    runs: dict[str, Callable[[], object]] = {
        name: partial(encoded, frames, *how) for name, how in FORMATS.items()
    }
    times = medians(runs, repeats)
    return [
        {
            "model": model.card.name,
            "format": name,
            "us": 1e6 * times[name] / FRAMES,
            "bytes": encoded(frames, *how) / FRAMES,
        }
        for name, how in FORMATS.items()
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["avatars", "celeba"])
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    rows = [
        row for name in arguments.models for row in compare(find_model(name), arguments.repeats)
    ]
    table = Table("model", "format", "us per frame", "bytes")
    for row in rows:
        table.add_row(
            str(row["model"]),
            str(row["format"]),
            f"{float(str(row['us'])):.0f}",
            f"{float(str(row['bytes'])):.0f}",
        )
    console = Console()
    console.print(table)
    console.print(f"wrote {save('encoding', rows)}")


if __name__ == "__main__":
    main()
