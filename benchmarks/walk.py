"""The walk against a plain loop that does what the released code does, on its FFHQ classifiers.

Nine steps towards `smiling` with masks of gender, eyeglasses and age, one torch thread. The loop
takes one latent at a time, asks autograd for the gradients (create_graph) and sorts with numpy; it
is written from the description of the released procedure, not from its code. Times are of the
thread, so that neighbours do not count. The floor is the matrix products of one walk alone, at the
rate of a large product on this machine; `compiled` is the walk of GRADCTRL_BACKEND=torch-compile.

    python -m benchmarks.walk [--repeats 15] [--compile]
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pairs import medians, save
from editing import (
    NEVER_STOP,
    CompiledWalk,
    FixedWalk,
    Head,
    Trajectory,
    WalkPlan,
    released_walk,
    stack_heads,
    walk,
)
from model_store import read_gradctrl_classifiers

CLASSIFIERS = Path("tests/fixtures/gradctrl_released/model_ffhq")
STEPS, STEP_SIZE = 9, 4 / 9
TOP_K = {"gender": 200, "eyeglasses": 50, "age": 100}  # what the released model masks for a smile
TARGET = "smile"
BATCHES = (1, 64, 1024)
AIMS = {1: 60, 64: 200, 1024: 400}  # times as fast as the loop
MATRIX = 1024  # of the product that gives the machine's rate
LOOPED = 64  # latents that the loop is timed on at most: it is linear in them


def plain_classifier(head: Head) -> nn.Module:
    """A head as the released code has it: two linear layers and a leaky ReLU."""
    first = nn.Linear(head.num_channels, len(head.hidden_bias))
    last = nn.Linear(len(head.hidden_bias), len(head.class_bias))
    first.weight.data, first.bias.data = head.hidden_weight.clone(), head.hidden_bias.clone()
    last.weight.data, last.bias.data = head.class_weight.clone(), head.class_bias.clone()
    return nn.Sequential(first, nn.LeakyReLU(0.1), last)


def plain_gradient(classifier: nn.Module, latent: Tensor) -> np.ndarray:  # [C]
    """The gradient of the probability of a binary classifier at a latent [1, C]."""
    point = latent.clone().requires_grad_(True)
    probability = torch.sigmoid(classifier(point))[0, 0]
    (gradient,) = torch.autograd.grad(probability, point, create_graph=True)
    return gradient[0].detach().numpy()


def plain_walk(
    target: nn.Module, masks: Sequence[tuple[nn.Module, int]], latents: Tensor
) -> Tensor:
    """Last points [N, C] of a loop over latents [N, C]."""
    ends = []
    for start in latents:
        point = start[None]
        for _ in range(STEPS):
            gradient = plain_gradient(target, point).copy()
            for classifier, top_k in masks:
                saliency = np.abs(plain_gradient(classifier, point))
                gradient[np.argsort(saliency)[::-1][:top_k]] = 0
            unit = gradient / np.linalg.norm(gradient)
            point = point + STEP_SIZE * torch.from_numpy(unit)
        ends.append(point[0])
    return torch.stack(ends)


def compare(heads: dict[str, Head], batch: int, repeats: int, compiles: bool) -> dict[str, float]:
    """Seconds of each way for a batch, and how far the ends of the two released ones lie apart."""
    names = list(heads)
    stacked, a = stack_heads(list(heads.values())), names.index(TARGET)
    classifiers = {name: plain_classifier(head) for name, head in heads.items()}
    masks = [(classifiers[name], top_k) for name, top_k in TOP_K.items()]
    start = 0.4 * torch.randn(batch, stacked.num_channels, generator=torch.manual_seed(batch))
    top_k = torch.tensor([TOP_K.get(name, 0) for name in names]).expand(batch, -1)
    attribute, target = torch.full((batch,), a), torch.ones(batch, dtype=torch.int64)
    ours = WalkPlan(
        attribute,
        target,
        torch.full((batch,), STEPS),
        torch.full((batch,), STEP_SIZE),
        top_k,
        torch.full((batch,), NEVER_STOP),
    )
    few, square = start[:LOOPED], torch.randn(MATRIX, MATRIX)
    with torch.inference_mode():  # as the ClassifierRunner makes them: a compiled walk is for such
        there, ours = start.clone(), ours.of(torch.arange(batch))

    def loop() -> Tensor:
        return plain_walk(classifiers[TARGET], masks, few)

    @torch.inference_mode()  # as the ClassifierRunner walks
    def released() -> FixedWalk:
        return released_walk(stacked, start, attribute, target, top_k, STEPS, STEP_SIZE)

    @torch.inference_mode()
    def ours_walks() -> Trajectory:
        return walk(stacked, there, ours)

    runs: dict[str, Callable[[], object]] = {
        "loop": loop,
        "released": released,
        "walk": ours_walks,
    }
    if compiles:
        compiled = CompiledWalk(batch)
        runs["compiled"] = torch.inference_mode()(lambda: compiled(stacked, there, ours))
    end, walked = loop(), released()
    found = medians(runs, repeats, time.thread_time)
    found["loop"] *= batch / len(few)
    # by itself: it empties the caches, and what comes after it takes half as long again
    product = medians({"product": lambda: square @ square}, repeats, time.thread_time)["product"]
    found["floor"] = operations(ours_walks) * product / (2 * MATRIX**3)
    difference = float((walked.points[: len(few), -1] - end).abs().max())
    return {"batch": batch, **found, "difference": difference}


def operations(run: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products in a run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--compile", action="store_true", help="also the compiled walk")
    options = parser.parse_args()
    torch.set_num_threads(1)
    _, heads = read_gradctrl_classifiers(CLASSIFIERS)
    rows = [compare(heads, batch, options.repeats, options.compile) for batch in BATCHES]
    ways = ["released", "walk", *(["compiled"] if options.compile else []), "floor"]
    table = Table("batch", "loop ms", *(f"{way} ms" for way in ways), "aim ms", "difference")
    for row in rows:
        aim = AIMS[int(row["batch"])]
        table.add_row(
            f"{row['batch']:.0f}",
            f"{row['loop'] * 1e3:.2f}",
            *(f"{row[way] * 1e3:.3g} ({row['loop'] / row[way]:.1f}x)" for way in ways),
            f"{row['loop'] * 1e3 / aim:.3g} ({aim}x)",
            f"{row['difference']:.1e}",
        )
    console = Console()
    console.print(table)
    console.print(f"wrote {save('walk', rows)}")


if __name__ == "__main__":
    main()
