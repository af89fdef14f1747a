"""service/images.py: real files that Pillow opens again."""

import io

import numpy as np
import pytest
from PIL import Image

from service.images import Encoding, encode, encode_animation

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_png_keeps_every_pixel() -> None:
    assert np.array_equal(np.asarray(decoded(encode(PIXELS, Encoding("png", 90, None)))), PIXELS)


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_lossy_formats_follow_quality(name: str) -> None:
    small, large = (encode(PIXELS, Encoding(name, q, None)) for q in (10, 95))  # type: ignore[arg-type]
    assert decoded(small).format == name.upper()
    assert len(small) < len(large)


def test_size_is_the_side_in_pixels() -> None:
    assert decoded(encode(PIXELS, Encoding("png", 90, 40))).size == (40, 40)


@pytest.mark.parametrize("name", ["webp", "gif"])
def test_animations_hold_all_frames(name: str) -> None:
    frames = [np.full_like(PIXELS, value) for value in (0, 100, 200)]
    encoding = Encoding(name, 90, None, frame_ms=250)  # type: ignore[arg-type]
    image = decoded(encode_animation(frames, encoding))
    assert getattr(image, "n_frames", 1) == 3
    image.seek(1)
    image.load()  # Pillow reads the time of a WebP frame with its pixels
    assert image.info["duration"] == 250
