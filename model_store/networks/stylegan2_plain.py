"""StyleGAN2 synthesis as the paper writes it: the twin that the fast path is compared with.

Weights are modulated and demodulated per sample, then applied as one grouped convolution (Karras et
al. 2020, Eq. 1 and 3); upsampling inserts zeros, convolves and filters. Slow and easy to check.
"""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from model_store.generators import NoiseMode
from model_store.networks.resampling import resample, upsample_padding
from model_store.networks.stylegan2_layout import read_layout

_LEAK, _GAIN, _EPSILON = 0.2, 2**0.5, 1e-8


def plain_synthesis(
    tensors: Mapping[str, Tensor],  # canonical names, checked before
    latents: Tensor,  # [N, num_ws, w_dim]
    noise_mode: NoiseMode = "const",
    conv_clamp: float | None = None,
) -> Tensor:  # [N, 3, H, W]
    """Images of latents."""
    layout = read_layout(tensors)
    fir = tensors["synthesis.resample_filter"]
    before, after = upsample_padding(fir.shape[0])
    padding = (before, after, before, after)
    parts = {name.removeprefix("synthesis."): tensor for name, tensor in tensors.items()}

    def layer(name: str, x: Tensor, up: bool, gain: float = 1.0) -> Tensor:
        style = _style(parts, name, latents[:, layout.styles[name]])
        y = _modulated(x, parts[f"{name}.weight"], style, up, fir)
        if noise_mode == "const" and f"{name}.noise_strength" in parts:
            y = y + parts[f"{name}.noise_const"] * parts[f"{name}.noise_strength"]
        y = functional.leaky_relu(y + parts[f"{name}.bias"][:, None, None], _LEAK) * _GAIN * gain
        return y if conv_clamp is None else y.clamp(-conv_clamp * gain, conv_clamp * gain)

    def to_rgb(name: str, x: Tensor) -> Tensor:
        weight = parts[f"{name}.weight"]
        style = _style(parts, name, latents[:, layout.styles[name]]) * weight[0].numel() ** -0.5
        y = _grouped(x, weight[None] * style[:, None, :, None, None])
        y = y + parts[f"{name}.bias"][:, None, None]
        return y if conv_clamp is None else y.clamp(-conv_clamp, conv_clamp)

    x = parts["b4.const"].expand(latents.shape[0], -1, -1, -1)
    image: Tensor | None = None
    for r in layout.resolutions:
        gain, skipped = 1.0, None
        if f"b{r}.skip.weight" in parts:
            gain = 0.5**0.5
            weight = parts[f"b{r}.skip.weight"]
            skipped = functional.conv2d(x, weight * weight[0].numel() ** -0.5)
            skipped = resample(skipped, fir, up=2, padding=padding, gain=4) * gain
        if r > layout.resolutions[0]:
            x = layer(f"b{r}.conv0", x, up=True)
        x = layer(f"b{r}.conv1", x, up=False, gain=gain)
        x = x if skipped is None else x + skipped
        if image is not None:
            image = resample(image, fir, up=2, padding=padding, gain=4)
        if f"b{r}.torgb" in layout.styles:
            rgb = to_rgb(f"b{r}.torgb", x)
            image = rgb if image is None else image + rgb
    assert image is not None
    return image


def _style(parts: Mapping[str, Tensor], name: str, w: Tensor) -> Tensor:
    """[N, I] of w [N, w_dim]."""
    weight = parts[f"{name}.affine.weight"]
    return functional.linear(w, weight * weight.shape[1] ** -0.5, parts[f"{name}.affine.bias"])


def _modulated(x: Tensor, weight: Tensor, style: Tensor, up: bool, fir: Tensor) -> Tensor:
    """Eq. 1 (modulate) and Eq. 3 (demodulate), then the convolution: [N, O, H, W]."""
    scaled = weight[None] * style[:, None, :, None, None]  # [N, O, I, k, k]
    scaled = scaled * (scaled.square().sum(dim=(2, 3, 4), keepdim=True) + _EPSILON).rsqrt()
    if not up:
        return _grouped(x, scaled, padding=1)
    taps = fir.shape[0]
    before, after = (taps + 1) // 2 + 1, (taps - 2) // 2 + 1
    smooth = resample(x, fir, up=2, padding=(before, after, before, after), gain=4)
    return _grouped(smooth, scaled.flip((3, 4)))


def _grouped(x: Tensor, weight: Tensor, padding: int = 0) -> Tensor:
    """Convolve each sample of x [N, I, H, W] with its own weight [N, O, I, k, k]."""
    n, channels, height, width = x.shape
    outputs, kernel = weight.shape[1], weight.shape[3]
    together = x.reshape(1, n * channels, height, width)
    y = functional.conv2d(
        together, weight.reshape(n * outputs, channels, kernel, kernel), padding=padding, groups=n
    )
    return y.reshape(n, outputs, *y.shape[2:])
