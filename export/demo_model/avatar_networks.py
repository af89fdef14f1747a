"""Sizes of the avatar networks, fresh weights, and what a generator's weights mean.

Knows nothing about losses or files. About 1.1 million parameters each, so that generator,
discriminator, heads and judge stay under 8 MB in half precision.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from export.demo_model.dataset import SIDE
from model_store import ModelCard, Provenance
from model_store.networks.discriminator import Discriminator, DiscriminatorSizes
from model_store.networks.stylegan2 import Stylegan2
from model_store.networks.stylegan2_initial import Stylegan2Sizes, initial_tensors

NAME = "avatars"
LICENCE = "Apache-2.0"
SOURCE = "trained by this project on python-avatars drawings: export/demo_model"
CHANNELS = {4: 128, 8: 128, 16: 128, 32: 64, 64: 32}
Z_DIM = W_DIM = 128
GENERATOR_SIZES = Stylegan2Sizes(CHANNELS, Z_DIM, W_DIM, mapping_layers=4)
DISCRIMINATOR_SIZES = DiscriminatorSizes({r: c for r, c in CHANNELS.items() if r < SIDE})
TRUNCATION = 0.7  # default psi
_UNTRAINED = ("w_avg", "noise_const", "resample_filter")
_MEAN_SAMPLES, _MEAN_SEED = 20_000, 0  # for the mean w


def fresh_generator(sizes: Stylegan2Sizes, seed: int) -> dict[str, Tensor]:
    """Tensors by canonical name; those that training changes require gradients."""
    tensors = initial_tensors(sizes, torch.Generator().manual_seed(seed))
    for name in trained_names(tensors):
        tensors[name].requires_grad_()
    return tensors


def fresh_discriminator(sizes: DiscriminatorSizes, seed: int) -> Discriminator:
    """A discriminator whose weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Discriminator(sizes)


def trained_names(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that training changes."""
    return [name for name in tensors if not name.endswith(_UNTRAINED)]


def num_blocks(tensors: Mapping[str, Tensor]) -> int:
    """Resolutions of a synthesis; each has two layers of w_plus."""
    return sum(name.endswith(".conv1.weight") for name in tensors)


def as_generator(
    tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float32, sha256: str = "0" * 64
) -> Stylegan2:
    """The network of these tensors; `sha256` is that of the file they came from."""
    card = ModelCard(
        name=NAME,
        family="stylegan2",
        resolution=tensors["synthesis.b4.const"].shape[1] << (num_blocks(tensors) - 1),
        z_dim=tensors["mapping.fc0.weight"].shape[1],
        w_dim=tensors["mapping.w_avg"].shape[0],
        num_ws=2 * num_blocks(tensors),
        spaces=("w_plus",),
        truncation=TRUNCATION,
        provenance=Provenance(source=SOURCE, source_sha256=sha256, licence=LICENCE),
    )
    return Stylegan2(card, tensors, dtype=dtype)


def with_mean_w(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Detached copies with `mapping.w_avg` as the mean w of 20,000 fixed z.

    NVIDIA's code follows the mean while it trains; this is the mean of these very weights.
    """
    copied = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    z_dim = copied["mapping.fc0.weight"].shape[1]
    z = torch.randn(_MEAN_SAMPLES, z_dim, generator=torch.Generator().manual_seed(_MEAN_SEED))
    with torch.inference_mode():
        mean = as_generator(copied).mapping(z)[:, 0].mean(dim=0)  # [w_dim]
    copied["mapping.w_avg"] = mean.clone()
    return copied
