"""FIR resampling as in the StyleGAN papers' code: pad, insert zeros, filter, keep every nth.

Knows nothing about layers. Filters are two-dimensional [kh, kw]; convolution in the strict sense
(the filter is flipped), which matters for asymmetric filters only.
"""

from torch import Tensor
from torch.nn import functional

Padding = tuple[int, int, int, int]  # left, right, top, bottom; negative crops


def resample(
    x: Tensor,  # [N, C, H, W]
    fir: Tensor,  # [kh, kw]
    up: int = 1,
    down: int = 1,
    padding: Padding = (0, 0, 0, 0),  # in pixels of the upsampled grid
    gain: float = 1.0,
) -> Tensor:  # [N, C, H', W']
    """The plain way: zeros are inserted and multiplied."""
    channels = x.shape[1]
    x = functional.pad(_with_zeros(x, up), padding)  # negative entries crop
    kernel = (fir * gain).flip((0, 1)).to(x.dtype)[None, None].expand(channels, 1, *fir.shape)
    return functional.conv2d(x, kernel, stride=down, groups=channels)


def resample_by_axis(
    x: Tensor,  # [N, C, H, W]
    taps: Tensor,  # [k], the same filter along both axes
    up: int,
    down: int,
    padding: Padding,
    gain: float,
) -> Tensor:  # [N, C, H', W']
    """`resample` by the filter outer(taps, taps), one axis at a time."""
    channels = x.shape[1]
    x = functional.pad(_with_zeros(x, up), padding)
    kernel = (taps * gain**0.5).flip(0).to(x.dtype)
    row = kernel[None, None, None, :].expand(channels, 1, 1, -1)
    column = kernel[None, None, :, None].expand(channels, 1, -1, 1)
    x = functional.conv2d(x, row, stride=(1, down), groups=channels)
    return functional.conv2d(x, column, stride=(down, 1), groups=channels)


def _with_zeros(x: Tensor, up: int) -> Tensor:
    """x [N, C, H, W] with up - 1 zeros after every pixel of both axes."""
    if up == 1:
        return x
    n, c, h, w = x.shape
    x = functional.pad(x.reshape(n, c, h, 1, w, 1), (0, up - 1, 0, 0, 0, up - 1))
    return x.reshape(n, c, h * up, w * up)


def upsample_padding(taps: int) -> tuple[int, int]:
    """Before and after, on the upsampled grid, so that doubling keeps the image centred."""
    return (taps + 1) // 2, (taps - 2) // 2


def upsample(x: Tensor, fir: Tensor) -> Tensor:
    """[N, C, 2H, 2W] of x [N, C, H, W], in one strided transposed convolution per channel."""
    channels, taps = x.shape[1], fir.shape[0]
    before, after = upsample_padding(taps)
    if fir.shape != (4, 4):
        return resample(x, fir, up=2, padding=(before, after, before, after), gain=4)
    kernel = (fir * 4).to(x.dtype)[None, None].expand(channels, 1, 4, 4)
    return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)
