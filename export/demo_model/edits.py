"""Measures edits of `avatars` by the judge, on test samples that no choice ever saw.

`python -m export.demo_model.edits` prints success and accuracy of every attribute with the defaults
of the stored card, and hair_colour from each colour to each other one.
"""

from argparse import ArgumentParser
from collections.abc import Sequence

import numpy as np
import torch
from rich.progress import track

from export.demo_model.avatar_networks import NAME
from export.evaluation import Judge
from export.labelers.avatars_judge import judge_labels
from export.onlookers import image_onlooker
from export.outcomes import Outcome, draw_samples, edit_samples
from export.strips import load_local
from model_store import find_model

TEST_SEEDS = 2_000_000  # first seed


def measure(count: int) -> dict[str, Outcome]:
    """Edits of every attribute from test samples, with the defaults of the stored card."""
    stored = find_model(NAME)
    model = load_local(stored)
    judge = Judge(NAME, stored.card.attributes, (judge_labels,))
    onlooker = image_onlooker(model.generator, judge)
    samples = draw_samples(model, onlooker, TEST_SEEDS, count)
    return {
        attribute.name: edit_samples(model, onlooker, samples, attribute, attribute.defaults)
        for attribute in track(stored.card.attributes, "measuring")
    }


def as_table(outcomes: dict[str, Outcome]) -> str:
    """Markdown: success and accuracy per attribute."""
    lines = ["| attribute | edits | success | accuracy |", "|---|---|---|---|"]
    for name, one in outcomes.items():
        lines.append(
            f"| {name} | {len(one.target)} | {one.reached.mean():.2f} | {one.accuracy:.2f} |"
        )
    mean = np.mean([one.accuracy for one in outcomes.values()])
    success = np.mean([one.reached.mean() for one in outcomes.values()])
    return "\n".join([*lines, f"| mean | | {success:.2f} | {mean:.2f} |"])


def pair_table(outcome: Outcome, classes: Sequence[str]) -> str:
    """Markdown: success / accuracy / edits from each class (rows) to each other one."""
    lines = ["| from \\ to | " + " | ".join(classes) + " |", "|---" * (len(classes) + 1) + "|"]
    for a, name in enumerate(classes):
        cells = [_rates(outcome, a, b) for b in range(len(classes))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rates(outcome: Outcome, start: int, target: int) -> str:
    chosen = (outcome.start == start) & (outcome.target == target)
    if not chosen.any():
        return ""
    reached, accurate = outcome.reached[chosen].mean(), outcome.accurate[chosen].mean()
    return f"{reached:.2f} / {accurate:.2f} ({chosen.sum()})"


def main() -> None:
    """The command."""
    parser = ArgumentParser(description="measure edits of avatars")
    parser.add_argument("--samples", type=int, default=300)
    arguments = parser.parse_args()
    with torch.inference_mode():
        outcomes = measure(arguments.samples)
    print(as_table(outcomes))
    hair = next(one for one in find_model(NAME).card.attributes if one.name == "hair_colour")
    print(pair_table(outcomes["hair_colour"], hair.classes))


if __name__ == "__main__":
    main()
