"""What the StyleGAN2 formats share on the way to canonical names."""

from collections.abc import Mapping

import torch
from torch import Tensor

from model_store.errors import CheckpointError
from model_store.networks.mapping import MappingOptions, map_latents, mapping_sizes

FILTER = "synthesis.resample_filter"
AVERAGED_SAMPLES = 10_000  # as many as NVIDIA's projector takes
_TAPS = (1.0, 3.0, 3.0, 1.0)


def merge_filters(
    tensors: Mapping[str, Tensor], suffix: str = ".resample_filter"
) -> dict[str, Tensor]:
    """The tensors with one filter in place of its copies; CheckpointError if the copies differ."""
    filters = {name: tensor for name, tensor in tensors.items() if name.endswith(suffix)}
    merged = {name: tensor for name, tensor in tensors.items() if name not in filters}
    first = next(iter(filters.values()), None)
    for name, tensor in filters.items():
        if first is None or tensor.shape != first.shape or not torch.equal(tensor, first):
            raise CheckpointError(f"{name}: differs from the other resampling filters")
    if first is None:
        first = default_filter()
    # NVIDIA's code keeps filters of eight taps and more as one row, applied along both axes.
    merged[FILTER] = torch.outer(first, first) if first.ndim == 1 else first
    return merged


def default_filter() -> Tensor:
    """The binomial filter [4, 4] of StyleGAN2, summing to one."""
    taps = torch.tensor(_TAPS)
    return torch.outer(taps, taps) / taps.sum() ** 2


def measured_average(tensors: Mapping[str, Tensor], options: MappingOptions) -> Tensor:  # [w_dim]
    """The mean w of seeded samples, for checkpoints that store none."""
    sizes = mapping_sizes(tensors)
    z = torch.randn(AVERAGED_SAMPLES, sizes.z_dim, generator=torch.Generator().manual_seed(0))
    return map_latents(tensors, sizes, options, z, None, 1, 1.0, None)[:, 0].mean(dim=0)
