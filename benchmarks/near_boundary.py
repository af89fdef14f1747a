"""Success and accuracy of near-boundary edits on `celeba`, judged by the image labelers.

Protocol of the paper's section 4.2 in small: samples near the decision boundary of gender, smile
and age; one target each, the other class; walk until the image classifier's label flips. The
samples are from seeds that training never saw.

    python -m benchmarks.near_boundary [--edits 240] [--top-k 0]
"""

import argparse
import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from editing import EditRates, edit_rates, edited_point, walk
from export.banks import make_bank, open_bank
from export.labeling import face_api_labels
from export.labels import AttributeLabels
from model_store import Generator, StoredModel, find_model, plan_edit, to_pixels, walk_plan

FIRST_SEED = 10_000_000
BINARY = ("gender", "smile", "age")
STEPS, STEP_SIZE = 20, 0.3
# A first study: 200 starts x 3 targets, no mask, heads labelled by another classifier family.
KNOWN = {"gender": (1.00, 0.69), "smile": (1.00, 0.64), "age": (0.94, 0.58)}
console = Console()


@dataclass(frozen=True)
class Outcome:
    """Rates by attribute name."""

    rates: dict[str, EditRates]
    mean_distance: float  # L2, latent units, of the edits that succeeded


def judge(images: np.ndarray, boundary_years: float) -> dict[str, AttributeLabels]:
    """Labels of images [N, H, W, 3] by face-api."""
    return face_api_labels(images, age_boundary=boundary_years)


def near_boundary(scores: dict[str, AttributeLabels], count: int) -> np.ndarray:
    """Indices of the samples whose farthest standardised binary logit is nearest to zero."""
    logits = np.stack([scores[name].scores[:, 1] for name in BINARY], axis=1)
    distance = np.abs(logits / logits.std(axis=0)).max(axis=1)
    return np.argsort(distance)[:count]


def measure(model: StoredModel, edits: int, pool: int, top_k: int, boundary: float) -> Outcome:
    """Walk `edits` samples out of a pool and judge every frame."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_bank(model, pool, folder, FIRST_SEED)
        bank = open_bank(folder)
        before = judge(np.asarray(bank.images), boundary)
        chosen = near_boundary(before, edits)
        latents = torch.from_numpy(np.asarray(bank.latents[chosen]))
    names = list(BINARY)  # accuracy looks at these three, as the known figures do
    labels = torch.from_numpy(np.stack([before[name].labels()[chosen] for name in names], axis=1))
    attribute = torch.tensor([names.index(BINARY[i % len(BINARY)]) for i in range(edits)])
    target = 1 - labels[torch.arange(edits), attribute]
    points = _walk(model, latents, attribute, target, top_k)  # [N, T, C]
    after = labels.clone()
    generator = model.generator()
    distances = []
    for n in track(range(edits), description="judging", console=console):
        frame = _first_flip(
            generator, points[n], names, int(attribute[n]), int(target[n]), boundary
        )
        if frame is not None:
            after[n] = frame[1]
            distances.append(frame[0] * STEP_SIZE)
    rates = edit_rates(labels, after, attribute, target)
    return Outcome({names[a]: rate for a, rate in rates.items()}, float(np.mean(distances)))


def _walk(
    model: StoredModel,
    latents: torch.Tensor,
    attribute: torch.Tensor,
    target: torch.Tensor,
    top_k: int,
) -> torch.Tensor:
    cards = [next(c for c in model.card.attributes if c.name == name) for name in BINARY]
    planned = []
    for a, k in zip(attribute.tolist(), target.tolist(), strict=True):
        exclude = [(other.name, top_k) for other in cards if other is not cards[a]]
        planned.append(
            plan_edit(model.card, cards[a].name, cards[a].classes[k], STEPS, STEP_SIZE, exclude)
        )
    plan, ranges = walk_plan(planned, "cpu")
    heads = model.stacked_heads()
    assert heads is not None
    with torch.inference_mode():
        return walk(heads, edited_point(latents, ranges), plan).points


def _first_flip(
    generator: Generator,
    points: torch.Tensor,  # [T, C]
    names: list[str],
    attribute: int,
    target: int,
    boundary: float,
) -> tuple[int, torch.Tensor] | None:
    """The first frame that the judge calls the target, and its labels [A]; None if none is."""
    with torch.inference_mode():
        images = to_pixels(generator.synthesis(points[:, None]))
    judged = judge(images, boundary)
    labels = torch.from_numpy(np.stack([judged[name].labels() for name in names], axis=1))
    hits = torch.nonzero(labels[1:, attribute] == target)
    if not len(hits):
        return None
    first = int(hits[0]) + 1
    return first, labels[first]


def interval(rate: float, count: int) -> float:
    """Half width of the 95 % normal interval of a rate."""
    return 1.96 * math.sqrt(rate * (1 - rate) / count)


def report(outcome: Outcome) -> Table:
    """Rates beside the known ones."""
    table = Table(title="near-boundary edits, judged by image labelers")
    for column in ("attribute", "edits", "success", "accuracy", "known success", "known accuracy"):
        table.add_column(column, justify="right")
    for name, rate in outcome.rates.items():
        success, accuracy = KNOWN[name]
        table.add_row(
            name,
            str(rate.count),
            f"{rate.success:.2f}",
            f"{rate.accuracy:.2f} +- {interval(rate.accuracy, rate.count):.2f}",
            f"{success:.2f}",
            f"{accuracy:.2f}",
        )
    mean = float(np.mean([rate.accuracy for rate in outcome.rates.values()]))
    table.caption = f"mean accuracy {mean:.3f}, mean distance {outcome.mean_distance:.2f}"
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=240)
    parser.add_argument("--pool", type=int, default=3000)
    parser.add_argument("--top-k", type=int, default=0, help="channels masked per attribute")
    parser.add_argument(
        "--boundary", type=float, default=26.0054, help="years, median of the training bank"
    )
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    model = find_model("celeba")
    outcome = measure(model, arguments.edits, arguments.pool, arguments.top_k, arguments.boundary)
    console.print(report(outcome))
    if arguments.json is not None:
        rates = {name: vars(rate) for name, rate in outcome.rates.items()}
        arguments.json.write_text(json.dumps(rates, indent=2))


if __name__ == "__main__":
    main()
