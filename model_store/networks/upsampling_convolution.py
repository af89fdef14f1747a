"""A 3x3 convolution that doubles the resolution and smooths: StyleGAN's `up` layers.

Knows nothing about styles. A strided transposed convolution leaves [2H + 1, 2W + 1] pixels, which
the FIR filter turns into [2H, 2W]. One pass of the whole filter beats a pass for each axis: on a
CPU the passes over memory cost more than the products they save (docs/measurements.md).
"""

import torch
from torch import Tensor
from torch.nn import functional

_GAIN = 4  # zeros inserted between pixels take three quarters of the brightness


class UpsamplingConvolution:
    """Weights of one layer, worked out once."""

    def __init__(self, weight: Tensor, fir: Tensor) -> None:
        """weight: [O, I, 3, 3], applied as a true convolution; fir: [kh, kw], normalised."""
        self._weight = weight.transpose(0, 1).contiguous(memory_format=torch.channels_last)
        outputs, taps = weight.shape[0], fir.shape[0]
        kernel = (fir * _GAIN).flip((0, 1)).to(weight.dtype)
        self._smooth = kernel[None, None].expand(outputs, 1, *kernel.shape).contiguous()
        self._before, self._after = (taps - 1) // 2, (taps - 2) // 2

    def __call__(self, x: Tensor) -> Tensor:
        """[N, O, 2H, 2W] of x [N, I, H, W]."""
        y = functional.conv_transpose2d(x, self._weight, stride=2)
        before, after = self._before, self._after
        if before != after:
            y, before = functional.pad(y, (before, after, before, after)), 0
        return functional.conv2d(y, self._smooth, padding=before, groups=self._smooth.shape[0])
