"""Makes the encoder of a stored model, measures where inversions fail, stores both.

Knows nothing about the steps of the training.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from editing import pixel_error
from export.encoder_training import EncoderOptions, train_encoder
from export.errors import EncoderTrainingError
from export.sampling import sample_latents
from model_store import (
    ENCODER_FILE,
    FACES_FILE,
    Encoder,
    InversionCard,
    PhotoError,
    StoredModel,
    read_photo,
    save_encoder,
    save_inversion,
    square,
    to_pixels,
)

UNRELATED_QUANTILE = 0.01
HELD_OUT_SEED = 3_000_000_000  # of samples that measure; training draws its own
_MEASURED = 512  # samples
_CHUNK = 64
_MAX_PIXELS = 50_000_000
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class MadeEncoder:
    """A stored encoder and how good it is."""

    model: StoredModel
    mean_error: float  # mean squared error, pixels 0..1, of held-out samples after JPEG


def make_encoder(
    model: StoredModel,
    folder: Path,
    options: EncoderOptions,
    images: Path | None = None,
    copy_to: Path | None = None,  # also write the files that the repository ships
    report: Callable[[int, int, float], None] = lambda done, total, loss: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> MadeEncoder:
    """Train or continue, store a new version; EncoderTrainingError for unusable images.

    KeyboardInterrupt where it should stop before the end; the folder has all steps until there.
    """
    dataset = None if images is None else read_dataset(images, model.card.resolution)
    encoder = train_encoder(model, folder, options, dataset, report, should_stop)
    if should_stop():
        raise KeyboardInterrupt
    path = folder / ENCODER_FILE
    save_encoder(encoder, path)
    card = measured_card(model)
    stored = save_inversion(model, card, {ENCODER_FILE: path})
    if copy_to is not None:
        copy_to.mkdir(parents=True, exist_ok=True)
        (copy_to / f"{model.card.name}.safetensors").write_bytes(path.read_bytes())
        (copy_to / f"{model.card.name}.json").write_text(card.model_dump_json(indent=2) + "\n")
    return MadeEncoder(stored, encoder_error(encoder, model))


def measured_card(model: StoredModel) -> InversionCard:
    """The error below which hardly any two unrelated samples of the model are."""
    images = _held_out(model)
    errors = pixel_error(images, images.roll(1, dims=0))
    errors = torch.cat([errors, pixel_error(images, images.roll(2, dims=0))])
    limit = float(errors.quantile(UNRELATED_QUANTILE))
    measured = (
        f"{UNRELATED_QUANTILE:.0%} quantile of the error between {len(errors)} pairs of samples "
        "that have nothing to do with each other"
    )
    aligns = FACES_FILE in model.card.files
    return InversionCard(max_error=round(limit, 5), measured=measured, aligns_faces=aligns)


@torch.inference_mode()
def encoder_error(encoder: Encoder, model: StoredModel) -> float:
    """Mean squared error, pixels 0..1, of what the guesses for held-out samples look like."""
    generator, images = model.generator(), _held_out(model)
    seen = torch.stack([_as_tensor(_through_jpeg(one)) for one in to_pixels(images)])
    errors = [
        pixel_error(generator.synthesis(encoder(some)), wanted)
        for some, wanted in zip(seen.split(_CHUNK), images.split(_CHUNK), strict=True)
    ]
    return float(torch.cat(errors).mean())


def read_dataset(path: Path, resolution: int) -> np.ndarray:  # [N, R, R, 3], uint8
    """Images of a folder, cut square, or of an .npy file; EncoderTrainingError otherwise."""
    if path.is_file() and path.suffix == ".npy":
        images: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        if images.dtype != np.uint8 or images.shape[1:] != (resolution, resolution, 3):
            raise EncoderTrainingError(
                f"{path}: expected uint8 [N, {resolution}, {resolution}, 3], "
                f"got {images.dtype} {list(images.shape)}"
            )
        return images
    files = sorted(one for one in path.glob("*") if one.suffix.lower() in _SUFFIXES)
    if not files:
        raise EncoderTrainingError(f"{path}: no images; give a folder of PNG, JPEG or WebP files")
    try:
        return np.stack(
            [square(read_photo(f.read_bytes(), _MAX_PIXELS), resolution) for f in files]
        )
    except PhotoError as error:
        raise EncoderTrainingError(f"{path}: {error}") from error


@torch.inference_mode()
def _held_out(model: StoredModel) -> Tensor:  # [N, 3, R, R], -1..1
    generator, card = model.generator(), model.card
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + _MEASURED)
    latents = sample_latents(generator, seeds, card.truncation, _first_class(card.c_dim))
    return torch.cat([generator.synthesis(some) for some in latents.split(_CHUNK)]).clamp(-1, 1)


def _first_class(c_dim: int) -> np.ndarray | None:  # [1, c_dim]
    return np.eye(c_dim, dtype=np.float32)[:1] if c_dim else None


def _through_jpeg(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return np.array(Image.open(file))


def _as_tensor(pixels: np.ndarray) -> Tensor:  # [3, R, R], -1..1
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1
