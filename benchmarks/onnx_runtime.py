"""ONNX Runtime and torch.compile against eager torch: synthesis of stored models and of 256 px.

One thread each, in turns. The 256 px generator has StyleGAN2 config-f widths and random weights.

    python -m benchmarks.onnx_runtime [avatars celeba] [--repeats 7] [--compile]
"""

import argparse
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.pairs import medians, save
from benchmarks.synthesis import make_generator
from export.onnx_export import export_onnx
from model_store import Generator, StoredModel, find_model, open_onnx, save_model

BATCHES = (1, 4, 9)
LARGE = 256  # pixels


def large_model() -> StoredModel:
    """The random 256 px generator, in the store."""
    generator = make_generator(LARGE)
    return save_model(generator, generator.card, {})


def compare(model: StoredModel, batch: int, repeats: int, compiles: bool) -> dict[str, object]:
    """Median seconds by backend of one model and batch, and the largest difference."""
    eager = model.generator()
    sessions = open_onnx(model, "cpu", torch.get_num_threads())
    latents = torch.randn(batch, *model.card.latent_shape, generator=torch.manual_seed(batch)).mul(
        0.3
    )
    ways: dict[str, Generator] = {"eager": eager, "onnx": sessions}
    runs: dict[str, Callable[[], object]] = {
        name: lambda one=one: one.synthesis(latents)  # type: ignore[misc]
        for name, one in ways.items()
    }
    if compiles:
        compiled = torch.compile(eager.synthesis, fullgraph=True, dynamic=False)
        runs["compiled"] = lambda: compiled(latents)
    found = medians(runs, repeats)
    difference = float((eager.synthesis(latents) - sessions.synthesis(latents)).abs().max())
    return {
        "model": f"{model.card.name}, {model.card.resolution} px",
        "batch": batch,
        **found,
        "difference": difference,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["avatars", "celeba"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [export_onnx(find_model(name))[0] for name in options.models]
    models.append(export_onnx(large_model())[0])
    rows = []
    with torch.inference_mode():
        for model in models:
            for batch in BATCHES:
                rows.append(compare(model, batch, options.repeats, options.compile))
    ways = ["eager", "onnx", *(["compiled"] if options.compile else [])]
    table = Table("model", "batch", *(f"{way} ms" for way in ways), "eager / onnx", "difference")
    for row in rows:
        times = {way: float(str(row[way])) for way in ways}
        table.add_row(
            str(row["model"]),
            str(row["batch"]),
            *(f"{1e3 * times[way]:.1f}" for way in ways),
            f"{times['eager'] / times['onnx']:.2f}x",
            f"{float(str(row['difference'])):.1e}",
        )
    console = Console()
    console.print(table)
    console.print(f"wrote {save('onnx_runtime', rows)}")


if __name__ == "__main__":
    main()
