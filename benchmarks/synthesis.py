"""StyleGAN2 synthesis: our path against the textbook one (weight modulation, grouped convolution).

Random weights at config-f widths; pairs run interleaved in one process, medians and their ratio.
`python -m benchmarks.synthesis [--resolution 256] [--batches 1,4] [--repeats 5]`
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from model_store import ModelCard, Provenance, Stylegan2
from model_store.networks.stylegan2_initial import Stylegan2Sizes, initial_tensors
from model_store.networks.stylegan2_plain import plain_synthesis


def seconds(run: Callable[[], Tensor]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


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


@torch.inference_mode()
def compare(generator: Stylegan2, batch: int, repeats: int) -> str:
    """One row of the table."""
    z = torch.randn(batch, generator.card.z_dim, generator=torch.Generator().manual_seed(batch))
    latents = generator.mapping(z, psi=0.7)
    half = generator.to("cpu", torch.bfloat16)
    state = generator.state()
    runs: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: plain_synthesis(state, latents),
        "fast": lambda: generator.synthesis(latents),
        "bf16": lambda: half.synthesis(latents),
    }
    images = {name: run() for name, run in runs.items()}  # also warms up
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(run))
    median = {name: statistics.median(found) for name, found in times.items()}
    difference = float((images["fast"] - images["plain"]).abs().max())
    error = float((images["bf16"] - images["plain"]).square().mean())
    peak = float(images["plain"].abs().max())
    decibels = 10 * torch.log10(torch.tensor(4 / error)).item()  # of a range -1..1
    return (
        f"| {batch} | {median['plain']:.2f} | {median['fast']:.2f} | {median['bf16']:.2f} | "
        f"{median['plain'] / median['fast']:.2f}x | {median['plain'] / median['bf16']:.2f}x | "
        f"{difference:.1e} (peak {peak:.1f}) | {decibels:.0f} dB |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--batches", default="1,4")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    generator = make_generator(options.resolution)
    print(f"StyleGAN2 config-f, {options.resolution} px, {torch.get_num_threads()} threads")
    print("| batch | plain s | fast s | bf16 s | ratio | bf16 ratio | difference | bf16 PSNR |")
    print("|---|---|---|---|---|---|---|---|")
    for batch in (int(part) for part in options.batches.split(",")):
        print(compare(generator, batch, options.repeats), flush=True)


if __name__ == "__main__":
    main()
