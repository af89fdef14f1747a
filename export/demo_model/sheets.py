"""Contact sheets: many small images in one PNG, to be looked at."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from model_store import Generator, to_pixels

_BATCH = 32


def generate(
    generator: Generator,
    z: torch.Tensor,  # [N, z_dim]
    psi: float,
) -> np.ndarray:  # [N, H, W, 3], uint8
    """Images of z, batch by batch."""
    with torch.inference_mode():
        images = [
            to_pixels(generator.synthesis(generator.mapping(part, psi=psi)))
            for part in z.split(_BATCH)
        ]
    return np.concatenate(images)


def save_sheet(
    images: np.ndarray,  # [N, H, W, 3], uint8
    columns: int,
    path: Path,
    scale: int = 2,
) -> None:
    """Rows of `columns` images, enlarged without smoothing; the last row is filled with white."""
    samples, height, width, _ = images.shape
    rows = -(-samples // columns)
    cells = np.full((rows * columns, height, width, 3), 255, dtype=np.uint8)
    cells[:samples] = images
    grid = cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    sheet = Image.fromarray(grid.reshape(rows * height, columns * width, 3))
    size = (sheet.width * scale, sheet.height * scale)
    sheet.resize(size, Image.Resampling.NEAREST).save(path)
