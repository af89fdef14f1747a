"""Sizes of a generator that its card states; every family reads them from its tensors."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkFacts:
    """What a card needs to know of a StyleGAN."""

    resolution: int
    z_dim: int
    w_dim: int
    c_dim: int
    num_ws: int
