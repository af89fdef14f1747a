"""Random StyleGAN2 tensors of every shape, with nothing left at zero as training leaves nothing."""

import torch
from torch import Tensor

from model_store import ModelCard, Stylegan2
from model_store.networks.stylegan2_initial import Stylegan2Sizes, initial_tensors
from model_store.networks.stylegan2_layout import Stylegan2Options
from tests.doubles import PROVENANCE

NARROW = {4: 12, 8: 10, 16: 8, 32: 6, 64: 5, 128: 4}


def narrow_sizes(resolution: int = 32, **changes: object) -> Stylegan2Sizes:
    """A few channels per block, all different, so that none can be mistaken for another."""
    channels = {r: width for r, width in NARROW.items() if r <= resolution}
    given: dict[str, object] = {"z_dim": 20, "w_dim": 16, "mapping_layers": 2, **changes}
    return Stylegan2Sizes(channels, **given)  # type: ignore[arg-type]


def random_stylegan2(
    sizes: Stylegan2Sizes,
    seed: int = 0,
    taps: tuple[float, ...] | None = None,
    use_noise: bool = True,
    only_last_rgb: bool = False,  # the orig architecture
) -> dict[str, Tensor]:
    """Canonical tensors; the filter is outer(taps, taps), normalised."""
    draw = torch.Generator().manual_seed(seed)
    tensors = initial_tensors(sizes, draw)
    for name, tensor in tensors.items():
        if name.endswith(("bias", "w_avg", "noise_strength")):
            tensors[name] = tensor + torch.randn(tensor.shape, generator=draw) * 0.3
    if taps is not None:
        row = torch.tensor(taps)
        tensors["synthesis.resample_filter"] = torch.outer(row, row) / row.sum() ** 2
    last = f"b{max(sizes.channels)}."
    dropped = [
        name
        for name in tensors
        if (not use_noise and "noise" in name)
        or (only_last_rgb and "torgb" in name and last not in name)
    ]
    return {name: tensor for name, tensor in tensors.items() if name not in dropped}


def card_of(tensors: dict[str, Tensor], name: str = "random") -> ModelCard:
    """A card with the sizes of canonical StyleGAN2 tensors that have an embedding or none."""
    w_dim = tensors["mapping.w_avg"].shape[0]
    blocks = {int(n.split(".")[1][1:]) for n in tensors if n.startswith("synthesis.b")}
    convolutions = sum(".conv" in n and n.endswith("affine.bias") for n in tensors)
    embed = tensors.get("mapping.embed.weight")
    features, c_dim = (0, 0) if embed is None else embed.shape
    return ModelCard(
        name=name,
        family="stylegan2",
        resolution=max(blocks),
        z_dim=tensors["mapping.fc0.weight"].shape[1] - features,
        w_dim=w_dim,
        num_ws=convolutions + 1,
        c_dim=c_dim,
        spaces=("w_plus",),
        provenance=PROVENANCE,
    )


def make_stylegan2(tensors: dict[str, Tensor], conv_clamp: float | None = None) -> Stylegan2:
    """The generator of canonical tensors."""
    return Stylegan2(card_of(tensors), tensors, Stylegan2Options(conv_clamp=conv_clamp))
