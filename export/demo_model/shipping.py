"""The trained avatar networks as this repository ships them: half precision, a few megabytes.

`python -m export.demo_model.shipping --run .cache/avatars-gan` packs a training run into
`weights/`; `gradctrl fetch avatars` unpacks it into the model store. Knows nothing about training.
"""

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from editing import Head
from export.demo_model.avatar_networks import as_generator
from export.errors import ExportError
from model_store import (
    DISCRIMINATOR_FILE,
    ENCODER_FILE,
    GENERATOR_FILE,
    ONE_LAYER_FILE,
    AttributeCard,
    InversionCard,
    StoredModel,
    save_model,
    sha256_of,
)

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
LEAST_PSNR = 40.0  # dB of images in -1..1, half precision against single
_COMPARED = 64


class ShippingError(ExportError):
    """A run that cannot be packed, or weights that are not there."""


def pack(run: Path, target: Path = WEIGHTS_FOLDER) -> float:
    """Write both networks in half precision; the PSNR of 64 images against single precision, dB."""
    generator, discriminator = (load_file(run / name) for name in _FILES)
    halved = _halved(generator)
    psnr = _psnr(generator, {name: tensor.float() for name, tensor in halved.items()})
    if psnr < LEAST_PSNR:
        raise ShippingError(f"half precision costs too much: {psnr:.1f} dB")
    target.mkdir(parents=True, exist_ok=True)
    save_file(halved, target / GENERATOR_FILE)
    save_file(_halved(discriminator), target / DISCRIMINATOR_FILE)
    return psnr


def store_avatars(
    attributes: tuple[AttributeCard, ...],
    heads: Mapping[str, Head],
    one_layer: Path | None = None,  # further heads, of the released method
    weights: Path = WEIGHTS_FOLDER,
    inversion: InversionCard | None = None,
    encoder: Path | None = None,
) -> StoredModel:
    """Store the shipped model; ShippingError without its weights."""
    path = weights / GENERATOR_FILE
    if not path.is_file():
        raise ShippingError(f"{path}: no weights; see docs/models.md for the commands that train")
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    generator = as_generator(tensors, sha256=sha256_of(path))
    known = {"attributes": attributes, "inversion": inversion}
    others = {
        DISCRIMINATOR_FILE: weights / DISCRIMINATOR_FILE,
        **({} if one_layer is None else {ONE_LAYER_FILE: one_layer}),
        **({} if encoder is None else {ENCODER_FILE: encoder}),
    }
    return save_model(generator, generator.card.model_copy(update=known), heads, others)


_FILES = (GENERATOR_FILE, DISCRIMINATOR_FILE)


def _halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.half().contiguous() for name, tensor in tensors.items()}


@torch.inference_mode()
def _psnr(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    a, b = as_generator(first), as_generator(second)
    z = torch.randn(_COMPARED, a.card.z_dim, generator=torch.Generator().manual_seed(0))
    error = (a.synthesis(a.mapping(z)) - b.synthesis(b.mapping(z))).square().mean()
    return float(10 * torch.log10(4 / error))


def main() -> None:
    """The command."""
    parser = ArgumentParser(description="pack a training run for the repository")
    parser.add_argument("--run", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--target", type=Path, default=WEIGHTS_FOLDER)
    arguments = parser.parse_args()
    print(f"packed; {pack(arguments.run, arguments.target):.1f} dB against single precision")


if __name__ == "__main__":
    main()
