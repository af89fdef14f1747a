"""The avatar dataset: images and exact labels, by seed; rendering can be stopped and resumed.

`python -m export.demo_model.dataset --output .cache/avatars` writes per split `<split>_images.npy`
[N, 64, 64, 3] uint8, memory-mapped, `<split>_labels.npz` (int64 class indices [N] per attribute)
and `<split>.json`. Image i of a split depends on the split's seed and i alone.
"""

import json
import multiprocessing
import os
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import Progress, TaskID

from export.demo_model.attributes import NAMES, draw_classes, to_indices
from export.errors import ExportError

SIDE = 64  # pixels
TRAIN, HELD_OUT = "train", "held_out"
SPLIT_SEEDS = {TRAIN: 1, HELD_OUT: 2}
_CHUNK = 200  # images between two notes of what is done


class DatasetError(ExportError):
    """A folder that does not hold the dataset that was asked for."""


@dataclass(frozen=True)
class SplitInfo:
    """What a split is made of and how far it got."""

    split: str
    seed: int
    samples: int
    side: int
    done: int


@dataclass(frozen=True)
class Split:
    """A complete split, read-only."""

    images: np.ndarray  # [N, H, W, 3], uint8
    labels: dict[str, np.ndarray]  # attribute -> [N], int64


def sample_labels(seed: int, index: int) -> dict[str, int]:
    """Class indices of one image, without drawing it."""
    return to_indices(draw_classes(_generator(seed, index)))


def sample_image(seed: int, index: int, side: int = SIDE) -> np.ndarray:  # [H, W, 3], uint8
    """One image."""
    # Training reads datasets where the drawing packages are not installed.
    from export.demo_model.drawing import draw_avatar

    rng = _generator(seed, index)
    return draw_avatar(draw_classes(rng), rng, side)


def make_split(
    folder: Path,
    split: str,
    samples: int,
    processes: int = 2,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write or continue one split; DatasetError if the folder holds another one."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = SplitInfo(split, SPLIT_SEEDS[split], samples, SIDE, 0)
    info = _resume(folder, wanted)
    images = _open_images(folder, wanted, new=info is None)
    info = info or wanted
    starts = range(info.done, samples, _CHUNK)
    jobs = [(info.seed, start, min(start + _CHUNK, samples)) for start in starts]
    with _workers(processes if jobs else 1) as pool:
        for (_, start, stop), chunk in zip(jobs, pool(jobs), strict=True):
            images[start:stop] = chunk
            images.flush()
            info = replace(info, done=stop)
            (folder / f"{split}.json").write_text(json.dumps(asdict(info)))
            progress(stop)
    rows = [sample_labels(info.seed, index) for index in range(samples)]
    labels = {name: np.array([row[name] for row in rows], dtype=np.int64) for name in NAMES}
    np.savez(folder / f"{split}_labels.npz", allow_pickle=False, **labels)


def open_split(folder: Path, split: str, allow_partial: bool = False) -> Split:
    """A split; DatasetError if it is missing, or unfinished and `allow_partial` is not set."""
    info = _read_info(folder, split)
    if info is None or (info.done < info.samples and not allow_partial):
        raise DatasetError(
            f"{folder}: no complete split {split!r}; "
            f"run: python -m export.demo_model.dataset --output {folder}"
        )
    images = np.load(folder / f"{split}_images.npy", mmap_mode="r")[: info.done]
    if info.done < info.samples:
        return Split(images, {})
    with np.load(folder / f"{split}_labels.npz") as labels:
        return Split(images, {name: labels[name] for name in NAMES})


def _generator(seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, index])


def _draw_chunk(job: tuple[int, int, int]) -> np.ndarray:
    seed, start, stop = job
    return np.stack([sample_image(seed, index) for index in range(start, stop)])


@contextmanager
def _workers(
    processes: int,
) -> Iterator[Callable[[list[tuple[int, int, int]]], Iterator[np.ndarray]]]:
    if processes == 1:
        yield lambda jobs: map(_draw_chunk, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as executor:
        yield lambda jobs: executor.map(_draw_chunk, jobs)


def _read_info(folder: Path, split: str) -> SplitInfo | None:
    path = folder / f"{split}.json"
    if not path.is_file():
        return None
    try:
        return SplitInfo(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{path}: not a description of a split: {error}") from error


def _resume(folder: Path, wanted: SplitInfo) -> SplitInfo | None:
    found = _read_info(folder, wanted.split)
    if found is not None and replace(found, done=0) != wanted:
        raise DatasetError(f"{folder}: holds another split ({found}); choose an empty folder")
    return found


def _open_images(folder: Path, info: SplitInfo, new: bool) -> np.memmap:
    path = folder / f"{info.split}_images.npy"
    if not new:
        return np.lib.format.open_memmap(path, "r+")
    shape = (info.samples, info.side, info.side, 3)
    return np.lib.format.open_memmap(path, "w+", np.uint8, shape)


def main() -> None:
    """The command."""
    parser = ArgumentParser(description="render the avatar dataset")
    parser.add_argument("--output", type=Path, required=True, help="folder to write or continue")
    parser.add_argument("--train", type=int, default=40_000, help="training images")
    parser.add_argument("--held-out", type=int, default=4_000, help="images never trained on")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    sizes = {HELD_OUT: arguments.held_out, TRAIN: arguments.train}
    with Progress() as progress:
        for split, samples in sizes.items():
            task = progress.add_task(split, total=samples)
            make_split(
                arguments.output,
                split,
                samples,
                arguments.processes,
                partial(_show, progress, task),
            )


def _show(progress: Progress, task: TaskID, done: int) -> None:
    progress.update(task, completed=done)


if __name__ == "__main__":
    main()
