"""Files of every kind to RGB pixels."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_store import PhotoError, read_photo, square

LIMIT = 10_000
GREY = np.full((20, 30), 128, np.uint8)
RED = np.zeros((20, 30, 3), np.uint8)
RED[..., 0] = 255


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_readable_formats(format: str) -> None:
    pixels = read_photo(encoded(Image.fromarray(RED), format), LIMIT)
    assert pixels.shape == (20, 30, 3)
    assert np.abs(pixels.astype(int) - RED).max() < 8


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "CMYK", "I;16", "F"])
def test_modes(mode: str) -> None:
    format = {"CMYK": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    if mode == "I;16":
        image = Image.fromarray(GREY.astype(np.uint16) << 8)
    else:
        image = Image.fromarray(GREY).convert("RGB" if mode == "CMYK" else "L").convert(mode)
    if format == "TIFF":  # is not read at all
        with pytest.raises(PhotoError):
            read_photo(encoded(image, format), LIMIT)
        return
    pixels = read_photo(encoded(image, format), LIMIT)
    assert pixels.shape == (20, 30, 3)
    assert mode == "1" or np.abs(pixels.astype(int) - 128).max() < 8


def test_transparency_lies_over_white() -> None:
    clear = np.zeros((20, 20, 4), np.uint8)
    assert (read_photo(encoded(Image.fromarray(clear), "PNG"), LIMIT) == 255).all()


def test_exif_turns_the_photo() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    data = encoded(Image.fromarray(RED), "JPEG", exif=exif)
    assert read_photo(data, LIMIT).shape == (30, 20, 3)


def test_large_jpegs_are_decoded_smaller() -> None:
    data = encoded(Image.new("RGB", (5000, 5000)), "JPEG")
    assert read_photo(data, 30_000_000).shape == (2500, 2500, 3)


def animated(format: str) -> bytes:
    frames = [Image.fromarray(np.full((20, 20, 3), value, np.uint8)) for value in (0, 200)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_image"),
        (b"<html></html>", "bad_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "bad_image"),
        (encoded(Image.fromarray(RED), "PNG")[:60], "bad_image"),
        (encoded(Image.fromarray(RED), "JPEG")[:300], "bad_image"),
        (encoded(Image.fromarray(RED), "BMP"), "bad_image"),
        (encoded(Image.new("RGB", (1, 1)), "PNG"), "bad_image"),
        (encoded(Image.new("RGB", (16, 600)), "PNG"), "bad_image"),
        (animated("PNG"), "bad_image"),
        (animated("WEBP"), "bad_image"),
        (encoded(Image.new("RGB", (200, 200)), "PNG"), "image_too_large"),
        (encoded(Image.new("1", (20_000, 20_000)), "PNG"), "image_too_large"),
        (encoded(Image.new("1", (10_000, 10_000)), "PNG"), "image_too_large"),
    ],
)
def test_what_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(PhotoError) as caught:
        read_photo(data, LIMIT)
    assert caught.value.code == code


def test_any_damage_is_a_photo_error() -> None:
    rng = np.random.default_rng(0)
    whole = [encoded(Image.fromarray(RED), format) for format in ("PNG", "JPEG", "WEBP")]
    for trial in range(600):
        data = bytearray(whole[trial % 3])
        for place in rng.integers(0, len(data), 4):
            data[place] = rng.integers(256)
        try:
            assert read_photo(bytes(data), LIMIT).shape[2] == 3
        except PhotoError:
            continue


def test_square_cuts_the_middle() -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = 200
    assert (square(wide, 16) == 200).all()
    assert square(wide, 8).shape == (8, 8, 3)
