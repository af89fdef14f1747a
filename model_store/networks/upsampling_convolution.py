"""A 3x3 convolution that doubles the resolution and smooths: StyleGAN's `up` layers.

Knows nothing about styles. A strided transposed convolution leaves [2H + 1, 2W + 1] pixels, which
the FIR filter turns into [2H, 2W]; a separable filter is applied one axis at a time.
"""

import torch
from torch import Tensor
from torch.nn import functional

from model_store.networks.resampling import resample, separable

_GAIN = 4  # zeros inserted between pixels take three quarters of the brightness


class UpsamplingConvolution:
    """Weights of one layer, worked out once."""

    def __init__(self, weight: Tensor, fir: Tensor) -> None:
        """weight: [O, I, 3, 3], applied as a true convolution; fir: [kh, kw], normalised."""
        self._weight = weight.transpose(0, 1).contiguous(memory_format=torch.channels_last)
        self._fir = fir
        parts = separable(fir) if fir.shape == (4, 4) else None
        self._parts = parts and [part * _GAIN**0.5 for part in parts]

    def __call__(self, x: Tensor) -> Tensor:
        """[N, O, 2H, 2W] of x [N, I, H, W]."""
        y = functional.conv_transpose2d(x, self._weight, stride=2)
        if self._parts is None:
            taps = self._fir.shape[0]
            before, after = (taps - 1) // 2, (taps - 2) // 2
            return resample(y, self._fir, padding=(before, after, before, after), gain=_GAIN)
        column, row = (part.to(y.dtype) for part in self._parts)
        channels = y.shape[1]
        y = functional.conv2d(
            y, column.flip(0)[None, None, :, None].expand(channels, 1, 4, 1),
            padding=(1, 0), groups=channels,
        )
        return functional.conv2d(
            y, row.flip(0)[None, None, None, :].expand(channels, 1, 1, 4),
            padding=(0, 1), groups=channels,
        )
