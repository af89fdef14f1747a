"""JPEG files made on a GPU, by NVIDIA's nvImageCodec. The encoder has never run on a GPU.

Frames may be resized or pasted into a photo, so they are pixels of the host, and go up once more.
The other formats, which nvImageCodec does not encode on a GPU, stay Pillow's.
"""

import importlib
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from service.images import Encoding, encode_frames, resized
from service.provenance import Provenance, xmp_of

XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"  # before an XMP packet: Adobe's specification, part 3
INSTALL = "pip install -e '.[nvjpeg]'"
_START, _APP0, _APP1 = b"\xff\xd8", b"\xff\xe0", b"\xff\xe1"  # markers of JPEG, ITU-T T.81


class NoNvJpegError(Exception):
    """nvJPEG is asked for and is not there, or does not encode."""


class NvJpeg:
    """Encodes JPEG frames on one device, a call at a time."""

    def __init__(self, device: torch.device, codec: Any) -> None:
        self._device = device
        self._codec = codec  # the module nvidia.nvimgcodec
        kinds = (codec.BackendKind.GPU_ONLY, codec.BackendKind.HYBRID_CPU_GPU)
        self._encoder = codec.Encoder(
            device_id=device.index or 0, backends=[codec.Backend(kind) for kind in kinds]
        )
        self._lock = threading.Lock()

    def encode_frames(
        self, frames: Sequence[np.ndarray], encoding: Encoding, provenance: Provenance | None = None
    ) -> list[bytes]:
        """As `images.encode_frames` does: a file for each of uint8 [H, W, 3]."""
        if encoding.format != "jpeg":
            return encode_frames(frames, encoding, provenance)
        sized = (np.array(resized(frame, encoding)) for frame in frames)
        pixels = [torch.from_numpy(frame).to(self._device) for frame in sized]
        quality = self._codec.EncodeParams(
            quality_type=self._codec.QualityType.QUALITY, quality_value=encoding.quality
        )
        with self._lock:
            streams = self._encoder.encode(pixels, ".jpg", params=quality)
        if any(stream is None for stream in streams):
            raise NoNvJpegError(f"nvImageCodec made no file; is nvJPEG there? {INSTALL}")
        files = [bytes(stream) for stream in streams]
        return files if provenance is None else [with_xmp(file, provenance) for file in files]


def open_nvjpeg(device: torch.device) -> NvJpeg:
    """An encoder that has made a first frame; NoNvJpegError where it cannot."""
    codec = find_codec(device)
    try:
        opened = NvJpeg(device, codec)
        opened.encode_frames([np.zeros((16, 16, 3), np.uint8)], Encoding("jpeg", 90, None))
    except RuntimeError as error:  # of nvImageCodec, such as for a missing driver
        raise NoNvJpegError(f"nvjpeg does not work here: {error}") from error
    return opened


def find_codec(device: torch.device) -> Any:
    """nvImageCodec; NoNvJpegError where the device is not CUDA or the package is missing."""
    if device.type != "cuda":
        raise NoNvJpegError(f"nvjpeg needs a CUDA device, got {device}")
    try:
        return importlib.import_module("nvidia.nvimgcodec")
    except ImportError as error:
        raise NoNvJpegError(f"nvjpeg needs the extra nvjpeg: {INSTALL} ({error})") from error


def with_xmp(jpeg: bytes, provenance: Provenance) -> bytes:
    """A finished JPEG file with an XMP packet behind its JFIF header."""
    after = len(_START)
    if jpeg[after : after + 2] == _APP0:
        after += 2 + int.from_bytes(jpeg[after + 2 : after + 4], "big")
    content = XMP_NAME + xmp_of(provenance)
    segment = _APP1 + (2 + len(content)).to_bytes(2, "big") + content
    return jpeg[:after] + segment + jpeg[after:]
