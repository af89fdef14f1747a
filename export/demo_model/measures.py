"""Measures the trained generator against held-out images, by the judge.

`python -m export.demo_model.measures --data .cache/avatars --generator FILE --output DIR` writes
`measures.json` and contact sheets, and prints a table. Knows nothing about training.
"""

import json
from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from export.demo_model.attributes import ATTRIBUTES
from export.demo_model.avatar_networks import TRUNCATION, as_generator
from export.demo_model.dataset import HELD_OUT, TRAIN, open_split
from export.demo_model.distances import (
    class_frequencies,
    frechet_distance,
    nearest_distances,
    total_variation,
)
from export.demo_model.judge import JUDGE_FILE, Judge, Judgement
from export.demo_model.sheets import generate, save_sheet
from model_store import Generator, z_from_seed

MEASURES_FILE = "measures.json"
_SAMPLES = 5_000
_PIXEL_QUERIES = 1_000  # of the slow nearest-neighbour search
_SHEETS = {"sheet-64.png": (64, 8), "sheet-256.png": (256, 16)}  # samples, columns


@dataclass(frozen=True)
class AttributeMeasure:
    """One attribute of the samples."""

    total_variation: float  # of class frequencies, against the held-out labels
    mean_confidence: float
    frequencies: dict[str, float]
    held_out_frequencies: dict[str, float]


@dataclass(frozen=True)
class NeighbourMeasure:
    """Distances to the nearest training image: of samples, and of held-out images."""

    samples_median: float
    held_out_median: float
    samples_lowest_percent: float  # 1st percentile
    held_out_lowest_percent: float


@dataclass(frozen=True)
class Measures:
    """Everything that is reported."""

    samples: int
    attributes: dict[str, AttributeMeasure]
    correlations: dict[str, tuple[float, float]]  # "eyeglasses | grey": samples, held-out
    frechet: float  # samples against held-out images
    frechet_real: float  # as many training images against held-out images
    pixel_neighbours: NeighbourMeasure  # root mean square, 0..255
    feature_neighbours: NeighbourMeasure


def measure_attributes(
    judgement: Judgement, labels: dict[str, np.ndarray]
) -> dict[str, AttributeMeasure]:
    """Class frequencies of judged samples against those of labels, and the judge's confidence."""
    found, confidence = judgement.labels(), judgement.confidence()
    measured = {}
    for attribute in ATTRIBUTES:
        name, classes = attribute.name, attribute.classes
        mine = class_frequencies(found[name], len(classes))
        wanted = class_frequencies(labels[name], len(classes))
        measured[name] = AttributeMeasure(
            total_variation(mine, wanted),
            float(confidence[name].mean()),
            dict(zip(classes, mine.tolist(), strict=True)),
            dict(zip(classes, wanted.tolist(), strict=True)),
        )
    return measured


def measure_correlations(
    found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]
) -> dict[str, tuple[float, float]]:
    """Share of an attribute's last class given each class of its parent, in both sets."""
    shares = {}
    parents = {attribute.name: attribute for attribute in ATTRIBUTES}
    for attribute in ATTRIBUTES:
        if attribute.parent is None:
            continue
        for index, parent_class in enumerate(parents[attribute.parent].classes):
            shares[f"{attribute.classes[-1]} | {parent_class}"] = (
                _share_given(found, attribute.name, attribute.parent, index),
                _share_given(wanted, attribute.name, attribute.parent, index),
            )
    return shares


def measure_neighbours(
    samples: np.ndarray, held_out: np.ndarray, train: np.ndarray
) -> NeighbourMeasure:
    """Nearest training neighbours: a generator that copies comes nearer than held-out images."""
    mine, theirs = nearest_distances(samples, train), nearest_distances(held_out, train)
    return NeighbourMeasure(
        float(np.median(mine)),
        float(np.median(theirs)),
        float(np.percentile(mine, 1)),
        float(np.percentile(theirs, 1)),
    )


def measure(generator: Generator, judge: Judge, data: Path, samples: int = _SAMPLES) -> Measures:
    """All measures, psi 1."""
    train, held_out = open_split(data, TRAIN), open_split(data, HELD_OUT)
    images = sample_images(generator, range(samples), psi=1.0)
    mine, real = judge.read(images), judge.read(held_out.images)
    known = judge.read(train.images)
    few = slice(0, _PIXEL_QUERIES)
    return Measures(
        samples,
        measure_attributes(mine, held_out.labels),
        measure_correlations(mine.labels(), held_out.labels),
        frechet_distance(mine.features, real.features),
        frechet_distance(known.features[:samples], real.features),
        measure_neighbours(images[few], held_out.images[few], train.images),
        measure_neighbours(mine.features, real.features, known.features),
    )


def sample_images(generator: Generator, seeds: range, psi: float) -> np.ndarray:
    """Images [N, H, W, 3], uint8, of seeds."""
    z = np.stack([z_from_seed(seed, generator.card.z_dim) for seed in seeds])
    return generate(generator, torch.from_numpy(z), psi)


def as_table(measures: Measures) -> str:
    """What a person reads first."""
    lines = [f"{'attribute':14} {'variation':>9} {'confidence':>10}"]
    for name, one in measures.attributes.items():
        lines.append(f"{name:14} {one.total_variation:9.3f} {one.mean_confidence:10.3f}")
    for name, (mine, wanted) in measures.correlations.items():
        lines.append(f"{name:28} {mine:.2f} (held-out {wanted:.2f})")
    lines.append(f"Frechet distance {measures.frechet:.2f}, real {measures.frechet_real:.2f}")
    lines.append(_neighbour_line("pixels", measures.pixel_neighbours))
    lines.append(_neighbour_line("features", measures.feature_neighbours))
    return "\n".join(lines)


def _neighbour_line(kind: str, one: NeighbourMeasure) -> str:
    return (
        f"nearest training image, {kind}: median {one.samples_median:.2f} "
        f"(held-out {one.held_out_median:.2f}), 1st percentile "
        f"{one.samples_lowest_percent:.2f} (held-out {one.held_out_lowest_percent:.2f})"
    )


def _share_given(labels: dict[str, np.ndarray], name: str, parent: str, index: int) -> float:
    last = next(len(a.classes) for a in ATTRIBUTES if a.name == name) - 1
    chosen = labels[name][labels[parent] == index]
    return float((chosen == last).mean()) if len(chosen) else float("nan")


def main() -> None:
    """The command."""
    parser = ArgumentParser(description="measure the avatar generator")
    parser.add_argument("--data", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--generator", type=Path, required=True, help="generator.safetensors")
    parser.add_argument("--judge", type=Path, default=JUDGE_FILE)
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--samples", type=int, default=_SAMPLES)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    generator = as_generator(load_file(arguments.generator))
    for name, (count, columns) in _SHEETS.items():
        save_sheet(
            sample_images(generator, range(count), TRUNCATION), columns, arguments.output / name
        )
    judge = Judge(arguments.judge, arguments.threads)
    measures = measure(generator, judge, arguments.data, arguments.samples)
    (arguments.output / MEASURES_FILE).write_text(json.dumps(asdict(measures), indent=2))
    print(as_table(measures))


if __name__ == "__main__":
    main()
