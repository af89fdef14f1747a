"""Pixels to compressed bytes. Knows nothing about models or HTTP."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from service.provenance import Provenance, xmp_of

ImageFormat = Literal["png", "jpeg", "webp", "gif"]
MEDIA_TYPES: dict[str, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
}
PNG_XMP = "XML:com.adobe.xmp"  # the keyword that readers look for
PNG_LEVEL = 1  # level 6 costs more time than it saves bytes on 64 px faces
FRAME_MS = 120  # of an animation, unless the request says otherwise


@dataclass(frozen=True)
class Encoding:
    """How frames leave the service."""

    format: ImageFormat
    quality: int  # 1..100, JPEG and WebP
    size: int | None  # pixels of the longer side; None keeps what it is
    frame_ms: int = FRAME_MS  # time of one frame of an animation


EncodeFrames = Callable[[Sequence[np.ndarray], Encoding, Provenance | None], list[bytes]]


def encode(pixels: np.ndarray, encoding: Encoding, provenance: Provenance | None = None) -> bytes:
    """One frame, uint8 [H, W, 3], with what it says of itself."""
    buffer = io.BytesIO()
    image = resized(pixels, encoding)
    if encoding.format == "png":
        text = PngInfo()
        if provenance is not None:
            text.add_itxt(PNG_XMP, xmp_of(provenance).decode())
        image.save(buffer, "PNG", compress_level=PNG_LEVEL, pnginfo=text)
    elif encoding.format == "gif":
        image.save(buffer, "GIF", **_metadata(encoding, provenance))
    else:
        image.save(
            buffer,
            encoding.format.upper(),
            quality=encoding.quality,
            **_metadata(encoding, provenance),
        )
    return buffer.getvalue()


def encode_frames(
    frames: Sequence[np.ndarray], encoding: Encoding, provenance: Provenance | None = None
) -> list[bytes]:
    """A file for each frame, uint8 [H, W, 3]."""
    return [encode(frame, encoding, provenance) for frame in frames]


def encode_animation(
    frames: Sequence[np.ndarray], encoding: Encoding, provenance: Provenance | None = None
) -> bytes:
    """All frames as one looping WebP or GIF, with what it says of itself."""
    images = [resized(pixels, encoding) for pixels in frames]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        encoding.format.upper(),
        save_all=True,
        append_images=images[1:],
        duration=encoding.frame_ms,
        loop=0,
        **_metadata(encoding, provenance),
        **({"quality": encoding.quality} if encoding.format == "webp" else {}),
    )
    return buffer.getvalue()


def _metadata(encoding: Encoding, provenance: Provenance | None) -> dict[str, bytes]:
    """Pillow's arguments for formats other than PNG."""
    if provenance is None:
        return {}
    if encoding.format == "gif":
        return {"comment": provenance.as_json().encode()}
    return {"xmp": xmp_of(provenance)}


def resized(pixels: np.ndarray, encoding: Encoding) -> Image.Image:
    """A frame, uint8 [H, W, 3], in the size that it leaves in."""
    image = Image.fromarray(pixels)
    longer = max(image.size)
    if encoding.size is not None and encoding.size != longer:
        scale = encoding.size / longer
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return image
