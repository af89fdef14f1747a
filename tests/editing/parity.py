"""The released classifiers and trajectories against what the released code itself computed.

Driven by manifest.json, as tests/model_store/readers/parity.py is: files of more models need no
change here. `python -m tests.editing.parity [FOLDER]` prints the table; FOLDER holds the `.npz`
files and `gradctrl_released/`.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from editing import (
    StackedHeads,
    class_logits,
    class_probabilities,
    overwrite_layers,
    probability_rows,
    released_walk,
    stack_heads,
)
from model_store import AttributeCard, read_gradctrl_classifiers
from tests.model_store.readers.parity import FIXTURES, Comparison, manifest

TOLERANCE = 1e-5  # absolute
NUM_LAYERS = 18  # of the released models' generators
# What the released FFHQ script does when asked for smile: its parameters lack the class counts, so
# it takes the branch for several classes and follows attributes 0, 1, 2 upwards, with the masks of
# smile.
AS_SHIPPED = "traj_as_shipped_smile"


def classifier_entries(folder: Path = FIXTURES) -> list[dict[str, Any]]:
    """Entries of the manifest whose classifiers and references are there."""
    entries: list[dict[str, Any]] = manifest(folder)["classifiers"]
    return [entry for entry in entries if _classifiers(folder, entry).is_dir()]


def compare_released(folder: Path, entry: Mapping[str, Any]) -> list[Comparison]:
    """Every stored number of one released model against ours, largest absolute differences."""
    arrays: dict[str, Tensor] = {}
    for reference in entry["references"]:
        with np.load(folder / reference["file"]) as stored:
            arrays |= {name: torch.from_numpy(stored[name]) for name in stored.files}
    cards, named = read_gradctrl_classifiers(_classifiers(folder, entry))
    heads, file = stack_heads(list(named.values())), entry["reference"]
    found = [
        Comparison(file, name, _error(ours, arrays[name]))
        for name, ours in _scores(heads, arrays["latents"]).items()
    ]
    directions = arrays.get("traj_directions")
    for a, card in enumerate(cards):
        expected = arrays[f"traj_{card.name}"]  # [N, D, T, C]
        targets = _targets(directions, expected.shape[1])
        points, layered = _walks(heads, arrays["latents"], cards, a, [a] * len(targets), targets)
        what = f"traj_{card.name}"
        found.append(Comparison(file, what, _error(points, expected)))
        found.append(
            Comparison(file, f"{what}, layers", _layer_error(entry, card, layered, points))
        )
    if AS_SHIPPED in arrays:
        smile = [card.name for card in cards].index("smile")
        points, _ = _walks(heads, arrays["latents"], cards, smile, [0, 1, 2], [1, 1, 1])
        expected = arrays[AS_SHIPPED]
        found.append(Comparison(file, AS_SHIPPED, _error(points[: len(expected)], expected)))
    return found


def table(rows: list[Comparison]) -> str:
    """One line per comparison."""
    header = f"{'file':20}{'reference':28}{'max abs. error':>9}"
    return "\n".join([header, *(f"{row.file:20}{row.what:28}{row.error:9.1e}" for row in rows)])


def _scores(heads: StackedHeads, latents: Tensor) -> dict[str, Tensor]:
    """Probabilities, logits and probability gradients: [N, A], or [N, K] of a single attribute."""
    probabilities, logits = class_probabilities(heads, latents), class_logits(heads, latents)
    samples, attributes, classes = probabilities.shape
    rows = torch.stack(
        [
            probability_rows(heads, latents, torch.full((samples, attributes), k))
            for k in range(classes)
        ],
        dim=2,
    )  # [N, A, K, C]
    one = (slice(None), slice(None), 1) if classes == 2 else (slice(None), 0)
    return {"prob": probabilities[one], "logit": logits[one], "grad_prob": rows[one]}


def _targets(directions: Tensor | None, count: int) -> list[int]:
    """Target classes along the second axis of a trajectory: up is 1 and down 0; or classes."""
    return list(range(count)) if directions is None else [int(d > 0) for d in directions]


def _walks(
    heads: StackedHeads,
    latents: Tensor,  # [N, C]
    cards: tuple[AttributeCard, ...],
    masks_of: int,  # the attribute whose masks and layers apply
    attributes: list[int],  # [D]
    targets: list[int],  # [D]
) -> tuple[Tensor, Tensor]:
    """Points [N, D, T, C] of the stored samples, and w_plus [N, T, L, C] of the first target."""
    defaults = cards[masks_of].defaults
    masks = dict(defaults.as_pairs())
    start = latents[:8]
    n = len(start)
    top_k = torch.tensor([masks.get(card.name, 0) for card in cards]).expand(n, -1)
    points = [
        released_walk(heads, start, torch.full((n,), a), torch.full((n,), j), top_k).points
        for a, j in zip(attributes, targets, strict=True)
    ]
    repeated = start[:, None].expand(-1, NUM_LAYERS, -1)
    ranges = torch.tensor(defaults.layers or (0, NUM_LAYERS)).expand(n, -1)
    return torch.stack(points, dim=1), overwrite_layers(repeated, points[0], ranges)


def _layer_error(
    entry: Mapping[str, Any], card: AttributeCard, layered: Tensor, points: Tensor
) -> float:
    """Distance of w_plus from the start outside the layers that the script changes, from the
    walk inside."""
    low, high = entry["layers_changed_by_main"][card.name]
    expected = points[:, 0, :1, None].expand(-1, points.shape[2], NUM_LAYERS, -1).clone()
    expected[:, :, low:high] = points[:, 0, :, None]
    return _error(layered, expected)


def _classifiers(folder: Path, entry: Mapping[str, Any]) -> Path:
    return folder / "gradctrl_released" / f"model_{entry['format'].split()[1]}"


def _error(ours: Tensor, expected: Tensor) -> float:
    assert ours.shape == expected.shape, (ours.shape, expected.shape)
    return float((ours - expected).abs().max())


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else FIXTURES
    every = [row for entry in classifier_entries(where) for row in compare_released(where, entry)]
    print(table(every))
    worst = max(row.error for row in every)
    print(f"\n{len(every)} comparisons, largest {worst:.1e}, allowed {TOLERANCE:.0e}")
    sys.exit(not worst <= TOLERANCE)
