"""Damage to images that a judge must read all the same: blur, noise, shift, JPEG, light.

Knows nothing about labels. Images are float32 [N, 3, H, W], 0..255.
"""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

MAX_BLUR = 1.2  # standard deviation in pixels
MAX_NOISE = 14.0  # standard deviation in levels of 255
MAX_SHIFT = 3  # pixels
MAX_LIGHT = 0.08  # share by which brightness and contrast change
JPEG_QUALITIES = (40, 90)
_RADIUS = 3  # pixels of the blur kernel to each side


def degrade(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirrored, shifted, lit, blurred, compressed and noisy copies, each by chance.

    One draw per call for what a whole batch shares (shift, blur), one per image for the rest.
    """
    count = len(images)
    mirrored = torch.from_numpy(rng.random(count) < 0.5)[:, None, None, None]
    changed = torch.where(mirrored, images.flip(3), images)
    down, right = rng.integers(-MAX_SHIFT, MAX_SHIFT + 1, 2)
    changed = shift(changed, int(down), int(right))
    changed = relight(changed, rng)
    if rng.random() < 0.6:
        changed = blur(changed, rng.uniform(0.3, MAX_BLUR))
    if rng.random() < 0.3:
        changed = compress(changed, int(rng.integers(*JPEG_QUALITIES)))
    levels = rng.uniform(0, MAX_NOISE, count) * (rng.random(count) < 0.5)
    return add_noise(changed, levels.astype(np.float32), rng)


def shift(images: Tensor, down: int, right: int) -> Tensor:
    """Moved by whole pixels; borders are repeated."""
    _, _, height, width = images.shape
    reach = max(abs(down), abs(right))
    padded = functional.pad(images, (reach,) * 4, mode="replicate")
    top, left = reach - down, reach - right
    return padded[:, :, top : top + height, left : left + width]


def relight(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Brightness and contrast changed per image."""
    change = rng.uniform(-MAX_LIGHT, MAX_LIGHT, (2, len(images), 1, 1, 1)).astype(np.float32)
    brightness, contrast = torch.from_numpy(change)
    return ((images - 127.5) * (1 + contrast) + 127.5 * (1 + brightness)).clamp(0, 255)


def blur(images: Tensor, deviation: float) -> Tensor:
    """Gaussian blur, rows then columns."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=torch.float32)
    kernel = torch.exp(-offsets.square() / (2 * deviation**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = functional.pad(images, (_RADIUS,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel, groups=3)
    return functional.conv2d(rows, kernel.transpose(2, 3), groups=3)


def compress(images: Tensor, quality: int) -> Tensor:
    """What JPEG leaves of them."""
    pixels = images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    decoded = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        with Image.open(file) as opened:
            decoded.append(np.asarray(opened))
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).float()


def add_noise(
    images: Tensor,
    levels: np.ndarray,  # [N], float32, standard deviations
    rng: np.random.Generator,
) -> Tensor:
    """Normal noise per value."""
    noise = rng.standard_normal(tuple(images.shape), dtype=np.float32)
    return (images + torch.from_numpy(noise * levels[:, None, None, None])).clamp(0, 255)
