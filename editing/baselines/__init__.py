"""The methods that the paper compares with: InterFaceGAN, GANSpace, StyleSpace."""

from editing.baselines.ganspace import (
    PrincipalComponents,
    principal_components,
    regressed_components,
)
from editing.baselines.interfacegan import conditional_normals, conditioned
from editing.baselines.straight import StraightWalk, StyleWalk, straight_path, style_path
from editing.baselines.stylespace import channel_steps, rank_channels

__all__ = [
    "PrincipalComponents",
    "StraightWalk",
    "StyleWalk",
    "channel_steps",
    "conditional_normals",
    "conditioned",
    "principal_components",
    "rank_channels",
    "regressed_components",
    "straight_path",
    "style_path",
]
