"""Before/after sheets: every row one start, every column what one method made of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from export.evaluation.pool import Pool
from export.evaluation.scores import ScoredCell

ROWS = 8
_SIDE = 128  # pixels of an image on the sheet, at least
_HEADER = 16
_MARK = 4  # pixels of the bar under an image


def save_sheet(cells: Sequence[ScoredCell], pool: Pool, path: Path, rows: int = ROWS) -> None:
    """The first starts of one attribute, before and after each method.

    A bar under each result: green is accurate, yellow reached the target but changed something
    else, red did not reach it.
    """
    samples = cells[0].cell.samples[:rows]
    scale = max(1, -(-_SIDE // pool.bank.images.shape[1]))
    columns = [_column("before", pool.images(samples), None, scale)]
    for one in cells:
        images = one.cell.images[: len(samples)].numpy()
        columns.append(_column(one.method, images, _colours(one, len(samples)), scale))
    Image.fromarray(np.concatenate(columns, axis=1)).save(path)


def _column(
    title: str,
    images: np.ndarray,  # [R, H, W, 3], uint8
    colours: Tensor | None,  # [R, 3], uint8
    scale: int,
) -> np.ndarray:
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    rows, _, width, _ = large.shape
    bars = np.full((rows, _MARK, width, 3), 255, dtype=np.uint8)
    if colours is not None:
        bars[:] = colours.numpy()[:, None, None]
    column = np.concatenate([large, bars], axis=1).reshape(-1, width, 3)
    header = Image.new("RGB", (width, _HEADER), "white")
    ImageDraw.Draw(header).text((2, 2), title, fill="black")
    return np.concatenate([np.asarray(header), column])


def _colours(one: ScoredCell, rows: int) -> Tensor:  # [R, 3], uint8
    palette = torch.tensor([[200, 40, 40], [230, 190, 40], [50, 160, 70]], dtype=torch.uint8)
    state = (one.scores.success + one.scores.accuracy).long()[:rows]
    return palette[state]
