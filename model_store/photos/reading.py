"""Bytes from anyone to RGB pixels, within a number of pixels. Knows nothing about faces or models.

The format is found by content; sizes are checked before anything is decoded; large JPEGs are
decoded at a fraction of their size. Every failure is a PhotoError.
"""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from model_store.photos.errors import PhotoError

READABLE = ("PNG", "JPEG", "WEBP")
MIN_SIDE = 16  # pixels
USEFUL_SIDE = 2048  # JPEGs are decoded at 1/2, 1/4 or 1/8 while both sides stay above
_MAX_RATIO = 16  # of the sides
_BACKGROUND = (255, 255, 255)  # under what is transparent


def read_photo(data: bytes, max_pixels: int) -> np.ndarray:  # [H, W, 3], uint8
    """The pixels as a viewer shows them: turned by EXIF, transparency over white, 8 bits."""
    if not data:
        raise PhotoError("bad_image", "the image is empty", READABLE)
    try:
        with Image.open(io.BytesIO(data), formats=READABLE) as image:
            _expect_sensible(image, max_pixels)
            if image.format in ("JPEG", "MPO"):
                image.draft("RGB", (USEFUL_SIDE, USEFUL_SIDE))
            image.load()
            turned = ImageOps.exif_transpose(image)
            return np.array(_to_rgb(turned))
    except PhotoError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(str(error), max_pixels) from error
    except UnidentifiedImageError as error:
        raise PhotoError("bad_image", "not an image that can be read", READABLE) from error
    except Exception as error:  # decoders raise anything for damaged files
        message = f"the image is damaged: {type(error).__name__}: {error}"
        raise PhotoError("bad_image", message, READABLE) from error


def square(pixels: np.ndarray, side: int) -> np.ndarray:  # [H, W, 3] -> [side, side, 3], uint8
    """The central square at another size."""
    height, width, _ = pixels.shape
    shorter = min(height, width)
    top, left = (height - shorter) // 2, (width - shorter) // 2
    cut = Image.fromarray(pixels[top : top + shorter, left : left + shorter])
    if shorter == side:
        return np.array(cut)
    return np.array(cut.resize((side, side), Image.Resampling.LANCZOS))


def _expect_sensible(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(f"{width} x {height} pixels", max_pixels)
    if min(width, height) < MIN_SIDE or max(width, height) > _MAX_RATIO * min(width, height):
        message = (
            f"{width} x {height} pixels: sides are at least {MIN_SIDE} and differ by less than "
            f"{_MAX_RATIO} times"
        )
        raise PhotoError("bad_image", message, [MIN_SIDE])
    # A camera's JPEG may carry previews of itself, which is no animation.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise PhotoError("bad_image", "the image is animated; send one frame", READABLE)


def _too_large(what: str, max_pixels: int) -> PhotoError:
    message = f"the image is too large: {what}; at most {max_pixels} pixels"
    return PhotoError("image_too_large", message, [max_pixels])


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        deep = np.asarray(image).astype(np.int64)  # 16 bits of grey
        image = Image.fromarray((deep >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        backed = Image.new("RGBA", image.size, (*_BACKGROUND, 255))
        backed.alpha_composite(image)
        image = backed
    return image.convert("RGB")
