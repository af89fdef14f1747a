"""StyleGAN as its TensorFlow code computes it, from TensorFlow variables: a twin for the tests.

Every step is written out, one function per function of the original; knows nothing of our names.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

Variables = Mapping[str, Tensor]


def random_variables(
    channels: Mapping[int, int],
    latent_size: int = 16,
    dlatent_size: int = 12,
    mapping_layers: int = 3,
    label_size: int = 0,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Variables of a network; nothing is left at zero."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=draw) * scale

    found = {"lod": torch.zeros(()), "dlatent_avg": normal(dlatent_size, scale=0.3)}
    inputs = latent_size
    if label_size:
        found["mapping/LabelConcat/weight"] = normal(label_size, latent_size)
        inputs += latent_size
    for i in range(mapping_layers):
        found[f"mapping/Dense{i}/weight"] = normal(inputs, dlatent_size, scale=100.0)
        found[f"mapping/Dense{i}/bias"] = normal(dlatent_size, scale=20.0)
        inputs = dlatent_size
    found["synthesis/lod"] = torch.zeros(())
    found["synthesis/4x4/Const/const"] = normal(1, channels[4], 4, 4)
    for index, (r, width) in enumerate(channels.items()):
        for j, layer in enumerate(("Const", "Conv") if r == 4 else ("Conv0_up", "Conv1")):
            prefix = f"synthesis/{r}x{r}/{layer}"
            before = channels[r // 2] if layer == "Conv0_up" else width
            if layer != "Const":
                found[f"{prefix}/weight"] = normal(3, 3, before, width)
            found[f"{prefix}/Noise/weight"] = normal(width, scale=0.3)
            found[f"{prefix}/bias"] = normal(width, scale=0.3)
            found[f"{prefix}/StyleMod/weight"] = normal(dlatent_size, 2 * width)
            found[f"{prefix}/StyleMod/bias"] = normal(2 * width, scale=0.3)
            found[f"synthesis/noise{2 * index + j}"] = normal(1, 1, r, r)
        lod = len(channels) - 1 - index
        found[f"synthesis/ToRGB_lod{lod}/weight"] = normal(1, 1, width, 3)
        found[f"synthesis/ToRGB_lod{lod}/bias"] = normal(3, scale=0.3)
    return found


def plain_mapping(variables: Variables, z: Tensor, labels: Tensor | None = None) -> Tensor:
    """w [N, dlatent_size] of z [N, latent_size]."""
    x = z
    if labels is not None:
        x = torch.cat([x, labels @ variables["mapping/LabelConcat/weight"]], dim=1)
    x = x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)
    i = 0
    while f"mapping/Dense{i}/weight" in variables:
        weight = variables[f"mapping/Dense{i}/weight"]
        x = x @ (weight * (2**0.5 / weight.shape[0] ** 0.5 * 0.01))
        x = functional.leaky_relu(x + variables[f"mapping/Dense{i}/bias"] * 0.01, 0.2)
        i += 1
    return x


def plain_synthesis1(
    variables: Variables, dlatents: Tensor, noise: bool = True, fused_from: int = 128
) -> Tensor:
    """Images [N, 3, H, W] of dlatents [N, num_layers, dlatent_size]."""
    parts = {k.removeprefix("synthesis/"): v for k, v in variables.items()}
    resolution, layer = 4, 0
    x = parts["4x4/Const/const"].expand(len(dlatents), -1, -1, -1)
    x = _epilogue(parts, "4x4/Const", x, dlatents[:, 0], 0, noise)
    x = _epilogue(parts, "4x4/Conv", _conv(x, parts["4x4/Conv/weight"]), dlatents[:, 1], 1, noise)
    while f"{2 * resolution}x{2 * resolution}/Conv0_up/weight" in parts:
        resolution, layer = 2 * resolution, layer + 2
        scope = f"{resolution}x{resolution}"
        x = _upscale_conv(x, parts[f"{scope}/Conv0_up/weight"], resolution >= fused_from)
        x = _epilogue(parts, f"{scope}/Conv0_up", _blur(x), dlatents[:, layer], layer, noise)
        x = _conv(x, parts[f"{scope}/Conv1/weight"])
        x = _epilogue(parts, f"{scope}/Conv1", x, dlatents[:, layer + 1], layer + 1, noise)
    image = _conv(x, parts["ToRGB_lod0/weight"], gain=1.0)
    return image + parts["ToRGB_lod0/bias"][:, None, None]


def _scaled(weight: Tensor, gain: float) -> Tensor:
    """A convolution's variable [k, k, I, O] times its run-time gain."""
    return weight * (gain / weight[..., 0].numel() ** 0.5)


def _conv(x: Tensor, weight: Tensor, gain: float = 2**0.5) -> Tensor:
    kernel = _scaled(weight, gain).permute(3, 2, 0, 1)
    return functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2)


def _upscale_conv(x: Tensor, weight: Tensor, fused: bool) -> Tensor:
    if not fused:
        doubled = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return _conv(doubled, weight)
    kernel = _scaled(weight, 2**0.5).permute(2, 3, 0, 1)  # [I, O, 3, 3]
    kernel = functional.pad(kernel, (1, 1, 1, 1))
    kernel = sum(kernel[:, :, i : i + 4, j : j + 4] for i in (0, 1) for j in (0, 1))  # type: ignore[assignment]
    return functional.conv_transpose2d(x, kernel, stride=2, padding=1)


def _blur(x: Tensor) -> Tensor:
    taps = torch.tensor([1.0, 2.0, 1.0])
    kernel = (torch.outer(taps, taps) / 16).expand(x.shape[1], 1, 3, 3)
    return functional.conv2d(x, kernel, padding=1, groups=x.shape[1])


def _epilogue(
    parts: Variables, scope: str, x: Tensor, w: Tensor, layer: int, noise: bool
) -> Tensor:
    if noise:
        x = x + parts[f"noise{layer}"] * parts[f"{scope}/Noise/weight"][:, None, None]
    x = functional.leaky_relu(x + parts[f"{scope}/bias"][:, None, None], 0.2)
    x = x - x.mean(dim=(2, 3), keepdim=True)
    x = x * torch.rsqrt(x.square().mean(dim=(2, 3), keepdim=True) + 1e-8)
    weight = parts[f"{scope}/StyleMod/weight"]
    style = w @ (weight / weight.shape[0] ** 0.5) + parts[f"{scope}/StyleMod/bias"]
    style = style.reshape(len(w), 2, x.shape[1], 1, 1)
    return x * (style[:, 0] + 1) + style[:, 1]
