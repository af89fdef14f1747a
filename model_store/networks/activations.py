"""What happens to activations between convolutions, in as few passes over memory as torch allows.

Without gradients the passes work in place: on a CPU a fresh large tensor costs several times what
the arithmetic does, because its pages are faulted in. With gradients nothing is overwritten that
the backward pass needs. Knows nothing about layers.
"""

import torch
from torch import Tensor
from torch.nn import functional

from model_store.networks.mapping import LEAK


def scale_channels(x: Tensor, scale: Tensor) -> Tensor:
    """x [N, C, H, W] times scale [N, C]; overwrites x where no gradient needs it."""
    factor = scale.to(x.dtype)[:, :, None, None]
    return x.mul_(factor) if _may_overwrite() else x * factor


def activate(
    x: Tensor,  # [N, C, H, W], overwritten where no gradient needs it
    scale: Tensor,  # [N, C]
    bias: Tensor,  # [C, 1, 1]
    noise: Tensor | None,  # [H, W]
    clamp: float | None,
) -> Tensor:  # [N, C, H, W]
    """Leaky ReLU of x * scale + bias + noise, clamped to -clamp..clamp."""
    factor = scale.to(x.dtype)[:, :, None, None]
    in_place = _may_overwrite()
    y = torch.addcmul(bias, x, factor, out=x) if in_place else torch.addcmul(bias, x, factor)
    if noise is not None:
        y = y.add_(noise)
    y = functional.leaky_relu_(y, LEAK)
    if clamp is None:
        return y
    return y.clamp_(-clamp, clamp) if in_place else y.clamp(-clamp, clamp)


def _may_overwrite() -> bool:
    """Not where a gradient needs the values, nor in a trace: compilers place memory themselves."""
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling())
