"""Sample banks: latents and images of a model, as memory-mapped arrays that can be resumed.

A bank folder holds `bank.json`, `latents.npy` [N, L, C] float32 and `images.npy`
[N, H, W, 3] uint8. Sample i comes from seed `first_seed + i`; of a conditional model it has the
bank's class or, where the bank names none, the class that its seed draws.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from export.errors import BankError
from export.sampling import drawn_labels, mixed_latents, sample_latents
from model_store import StoredModel, class_labels, find_model, to_pixels

BANK_FILE = "bank.json"
LATENTS_FILE = "latents.npy"
IMAGES_FILE = "images.npy"
PNG_FOLDER = "png"
_CHUNK = 64


@dataclass(frozen=True)
class BankInfo:
    """What a bank was made from and how far it got."""

    model: str  # name
    generator_sha256: str
    samples: int
    first_seed: int
    truncation: float
    done: int
    truncation_cutoff: int | None = None
    class_label: int | None = None  # of every sample; None draws a class per seed, if there are any
    mixing: bool = False  # latents differ from layer to layer


@dataclass(frozen=True)
class Bank:
    """A complete bank, read-only."""

    info: BankInfo
    latents: np.ndarray  # [N, L, C], float32
    images: np.ndarray  # [N, H, W, 3], uint8


def make_bank(
    model: StoredModel,
    samples: int,
    folder: Path,
    first_seed: int = 0,
    truncation: float | None = None,
    progress: Callable[[int], None] = lambda done: None,
    class_label: int | None = None,
    mixing: bool = False,
) -> BankInfo:
    """Write or continue a bank; BankError if the folder holds another one."""
    card = model.card
    wanted = BankInfo(
        model=card.name,
        generator_sha256=card.files["generator.safetensors"],
        samples=samples,
        first_seed=first_seed,
        truncation=card.truncation if truncation is None else truncation,
        done=0,
        truncation_cutoff=card.truncation_cutoff,
        class_label=class_label,
        mixing=mixing,
    )
    if mixing and card.latent_shape[0] == 1:
        raise BankError(f"{card.name}: cannot mix, its latents have one layer")
    fixed_labels = class_labels(card, class_label, is_needed=False)
    generator = model.generator()
    draw = mixed_latents if mixing else sample_latents
    folder.mkdir(parents=True, exist_ok=True)
    info = _resume(folder, wanted)
    latents, images = _open_arrays(folder, model, samples, new=info is None)
    info = info or wanted
    while info.done < samples:
        stop = min(info.done + _CHUNK, samples)
        seeds = range(first_seed + info.done, first_seed + stop)
        with torch.inference_mode():
            labels = drawn_labels(card, seeds) if fixed_labels is None else fixed_labels
            chunk = draw(generator, seeds, wanted.truncation, labels)
            latents[info.done : stop] = chunk.numpy()
            images[info.done : stop] = to_pixels(generator.synthesis(chunk))
        info = BankInfo(**{**asdict(info), "done": stop})
        latents.flush()
        images.flush()
        (folder / BANK_FILE).write_text(json.dumps(asdict(info), indent=2))
        progress(stop)
    return info


def open_bank(folder: Path, model: str | None = None) -> Bank:
    """A complete bank; BankError if it is missing, unfinished or of another model."""
    info = _read_info(folder)
    if info is None:
        raise BankError(f"{folder}: no {BANK_FILE}; make a bank with: gradctrl bank")
    if info.done < info.samples:
        raise BankError(f"{folder}: {info.done} of {info.samples} samples; run gradctrl bank again")
    if model is not None and info.model != model:
        raise BankError(f"{folder}: made from model {info.model!r}, not {model!r}")
    return Bank(
        info,
        np.load(folder / LATENTS_FILE, mmap_mode="r"),
        np.load(folder / IMAGES_FILE, mmap_mode="r"),
    )


def write_pngs(folder: Path, count: int) -> Path:
    """The first images of a bank as `png/<sample>.png`, for people who label; that folder."""
    images = open_bank(folder).images[:count]
    pngs = folder / PNG_FOLDER
    pngs.mkdir(exist_ok=True)
    for sample, image in enumerate(images):
        Image.fromarray(image).save(pngs / f"{sample}.png")
    return pngs


def open_bank_of(folder: Path, name: str) -> tuple[StoredModel, Bank]:
    """A stored model and its bank; BankError if the generator changed since."""
    model = find_model(name)
    bank = open_bank(folder, model.card.name)
    if bank.info.generator_sha256 != model.card.files["generator.safetensors"]:
        raise BankError(f"{folder}: made with other generator weights than {model.tag}")
    return model, bank


def _read_info(folder: Path) -> BankInfo | None:
    path = folder / BANK_FILE
    if not path.is_file():
        return None
    try:
        return BankInfo(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise BankError(f"{path}: not a bank description: {error}") from error


def _resume(folder: Path, wanted: BankInfo) -> BankInfo | None:
    found = _read_info(folder)
    if found is None:
        return None
    if {**asdict(found), "done": 0} != asdict(wanted):
        others = [
            f"{name} {value}, not {asdict(wanted)[name]}"
            for name, value in asdict(found).items()
            if name != "done" and value != asdict(wanted)[name]
        ]
        raise BankError(
            f"{folder}: holds another bank ({'; '.join(others)}); choose an empty folder"
        )
    return found


def _open_arrays(
    folder: Path, model: StoredModel, samples: int, new: bool
) -> tuple[np.memmap, np.memmap]:
    side = model.card.resolution
    latents = (samples, *model.card.latent_shape)
    images = (samples, side, side, 3)
    if not new:
        reopen = np.lib.format.open_memmap
        return reopen(folder / LATENTS_FILE, "r+"), reopen(folder / IMAGES_FILE, "r+")
    return (
        _new_array(folder / LATENTS_FILE, np.float32, latents),
        _new_array(folder / IMAGES_FILE, np.uint8, images),
    )


def _new_array(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> np.memmap:
    """An array whose place on the disk is taken: a page that finds none ends the process."""
    try:
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        raise BankError(f"{path}: no room for {shape} of {np.dtype(dtype)}: {error}") from error
    return array
