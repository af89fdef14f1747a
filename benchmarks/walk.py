"""The walk against a plain loop that does what the released code does, on its FFHQ classifiers.

Nine steps towards `smiling` with masks of gender, eyeglasses and age, one torch thread. The loop
takes one latent at a time, asks autograd for the gradients (create_graph) and sorts with numpy; it
is written from the description of the released procedure, not from its code.

    python -m benchmarks.walk [--repeats 15]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.pairs import medians, save
from editing import NEVER_STOP, FixedWalk, Head, WalkPlan, released_walk, stack_heads, walk
from model_store import read_gradctrl_classifiers

CLASSIFIERS = Path("tests/fixtures/gradctrl_released/model_ffhq")
STEPS, STEP_SIZE = 9, 4 / 9
TOP_K = {"gender": 200, "eyeglasses": 50, "age": 100}  # what the released model masks for a smile
TARGET = "smile"
BATCHES = (1, 64, 1024)
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


def compare(heads: dict[str, Head], batch: int, repeats: int) -> dict[str, float]:
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
    few = start[:LOOPED]
    end = plain_walk(classifiers[TARGET], masks, few)

    @torch.inference_mode()  # as the ClassifierRunner walks
    def released() -> FixedWalk:
        return released_walk(stacked, start, attribute, target, top_k, STEPS, STEP_SIZE)

    walked = released()
    found = medians(
        {
            "loop": lambda: plain_walk(classifiers[TARGET], masks, few),
            "released": released,
            "walk": torch.inference_mode()(lambda: walk(stacked, start, ours)),
        },
        repeats,
    )
    found["loop"] *= batch / len(few)
    difference = float((walked.points[: len(few), -1] - end).abs().max())
    return {"batch": batch, **found, "difference": difference}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    _, heads = read_gradctrl_classifiers(CLASSIFIERS)
    rows = [compare(heads, batch, repeats) for batch in BATCHES]
    table = Table("batch", "loop ms", "released ms", "ratio", "gradctrl ms", "ratio", "difference")
    for row in rows:
        table.add_row(
            f"{row['batch']:.0f}",
            f"{row['loop'] * 1e3:.1f}",
            f"{row['released'] * 1e3:.2f}",
            f"{row['loop'] / row['released']:.0f}x",
            f"{row['walk'] * 1e3:.2f}",
            f"{row['loop'] / row['walk']:.0f}x",
            f"{row['difference']:.1e}",
        )
    console = Console()
    console.print(table)
    console.print(f"wrote {save('walk', rows)}")


if __name__ == "__main__":
    main()
