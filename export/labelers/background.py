"""Background brightness measured from pixels: dark, medium or light. Needs no model."""

import numpy as np

CLASSES = ("dark", "medium", "light")
CENTERS = np.array([20.0, 120.0, 220.0], dtype=np.float32)  # luma of each class, 0..255
_SCALE = 20.0  # luma per logit
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_BORDER = 0.11  # share of the width: left and right strips beside the hair
_HEIGHT = 0.4  # share of the height, from the top: shoulders are below


def background_luma(images: np.ndarray) -> np.ndarray:
    """Median luma [N], 0..255, of the upper left and right borders of uint8 [N, H, W, 3]."""
    _, height, width, _ = images.shape
    border, rows = max(1, round(_BORDER * width)), max(1, round(_HEIGHT * height))
    sides = np.concatenate([images[:, :rows, :border], images[:, :rows, -border:]], axis=2)
    return np.median((sides.astype(np.float32) @ _LUMA).reshape(len(images), -1), axis=1)


def background_scores(images: np.ndarray) -> np.ndarray:
    """Logits [N, 3] in the order of CLASSES: the nearer a class's center, the larger."""
    return -np.abs(background_luma(images)[:, None] - CENTERS) / _SCALE
