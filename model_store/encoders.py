"""Encoders of stored models: `encoder.safetensors`. Knows nothing about training."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from model_store.errors import CheckpointError, CorruptModelError
from model_store.files import write_tensors
from model_store.networks.encoder import Encoder
from model_store.store import ENCODER_FILE, StoredModel


def save_encoder(encoder: Encoder, path: Path) -> None:
    """Write an encoder in half precision: its guesses are rounder than that anyway."""
    state = encoder.state_dict()
    write_tensors({name: tensor.to(torch.float16) for name, tensor in state.items()}, path)


def read_encoder(model: StoredModel) -> Encoder | None:
    """A model's encoder, frozen, float32 on the CPU; None where it has none.

    CorruptModelError if its tensors are not those of an encoder for this model.
    """
    if ENCODER_FILE not in model.card.files:
        return None
    try:
        encoder = Encoder.from_tensors(load_file(model.path / ENCODER_FILE))
    except (OSError, SafetensorError, CheckpointError) as error:
        raise CorruptModelError(f"{model.tag}: {ENCODER_FILE}: {error}") from error
    if encoder.sizes.latent != model.card.latent_shape:
        raise CorruptModelError(
            f"{model.tag}: {ENCODER_FILE}: makes latents {list(encoder.sizes.latent)}, "
            f"its card says {list(model.card.latent_shape)}"
        )
    return encoder
