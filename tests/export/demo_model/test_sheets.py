"""Sheets hold the images in reading order."""

from pathlib import Path

import numpy as np
from PIL import Image

from export.demo_model.sheets import save_sheet


def test_images_lie_in_rows_and_the_rest_is_white(tmp_path: Path) -> None:
    images = np.zeros((3, 2, 2, 3), dtype=np.uint8)
    images[1, ..., 0] = 200
    images[2, ..., 1] = 100
    save_sheet(images, 2, tmp_path / "sheet.png", scale=3)
    with Image.open(tmp_path / "sheet.png") as opened:
        sheet = np.asarray(opened)
    assert sheet.shape == (12, 12, 3)
    assert sheet[0, 0].tolist() == [0, 0, 0]
    assert sheet[5, 6].tolist() == [200, 0, 0]
    assert sheet[6, 5].tolist() == [0, 100, 0]
    assert sheet[11, 11].tolist() == [255, 255, 255]
