"""Which features of images an inversion compares beside pixels. Knows nothing about optimising.

A model's own discriminator where it is stored, else its encoder; or a TorchScript network that an
operator names, which takes images [N, 3, H, W] in -1..1 and gives one or more feature tensors.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from model_store.encoders import read_encoder
from model_store.errors import CorruptModelError
from model_store.networks.discriminator import Discriminator, discriminator_sizes
from model_store.store import DISCRIMINATOR_FILE, StoredModel

Features = Callable[[Tensor], list[Tensor]]  # images [N, 3, H, W], -1..1 -> [N, C, R, R] each
FeatureKind = Literal["discriminator", "encoder", "torchscript", "none"]


def features_of(
    model: StoredModel,
    script: Path | None = None,
    device: torch.device = torch.device("cpu"),  # noqa: B008 (frozen)
) -> tuple[Features | None, FeatureKind]:
    """The features that stand for likeness of a model's images, and whose they are."""
    if script is not None:
        return _scripted(script, device), "torchscript"
    if DISCRIMINATOR_FILE in model.card.files:
        return read_discriminator(model).to(device).features, "discriminator"
    encoder = read_encoder(model)
    if encoder is not None:
        return encoder.to(device).features, "encoder"
    return None, "none"


def read_discriminator(model: StoredModel) -> Discriminator:
    """The stored discriminator, frozen, float32; CorruptModelError if its tensors do not fit."""
    try:
        tensors = load_file(model.path / DISCRIMINATOR_FILE)
        network = Discriminator(discriminator_sizes(tensors))
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise CorruptModelError(f"{model.tag}: {DISCRIMINATOR_FILE}: {error}") from error
    return network.eval().requires_grad_(False)


def _scripted(path: Path, device: torch.device) -> Features:
    try:
        network = torch.jit.load(path, map_location=device).eval()
    except (OSError, RuntimeError, ValueError) as error:
        raise CorruptModelError(f"{path.name}: not a TorchScript network: {error}") from error

    def features(images: Tensor) -> list[Tensor]:
        found = network(images)
        return [found] if isinstance(found, Tensor) else list(found)

    return features
