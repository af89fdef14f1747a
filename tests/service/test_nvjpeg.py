"""service/nvjpeg.py: the files are those of Pillow, with another encoder behind them."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from service import nvjpeg
from service.backends import Backend
from service.images import Encoding, ImageFormat, encode, encode_frames
from service.nvjpeg import NoNvJpegError, NvJpeg, open_nvjpeg, with_xmp
from service.provenance import Provenance
from service.settings import Settings
from tests.doubles import PillowCodec

CPU = torch.device("cpu")
RECEIPT = Provenance("tiny", "ab" * 32)
FRAMES = list(np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), dtype=np.uint8))


def test_an_xmp_packet_is_where_pillow_puts_it() -> None:
    encoding = Encoding("jpeg", 90, None)
    bare, whole = encode(FRAMES[0], encoding), encode(FRAMES[0], encoding, RECEIPT)
    assert with_xmp(bare, RECEIPT) == whole
    after_header = bare[:2] + bare[20:]  # a file without a JFIF header
    assert with_xmp(after_header, RECEIPT)[2:4] == b"\xff\xe1"


@pytest.mark.parametrize("size", [None, 40])
def test_frames_of_a_request_are_encoded_in_one_call(size: int | None) -> None:
    codec = PillowCodec()
    encoding = Encoding("jpeg", 70, size)
    files = NvJpeg(CPU, codec).encode_frames(FRAMES, encoding, RECEIPT)
    assert files == encode_frames(FRAMES, encoding, RECEIPT)
    assert codec.calls == [3]


def test_only_gpus_encode() -> None:
    codec = PillowCodec()
    NvJpeg(torch.device("cuda:1"), codec)
    assert codec.opened == {"device_id": 1, "backends": ["gpu", "hybrid"]}


@pytest.mark.parametrize("name", ["png", "webp", "gif"])
def test_other_formats_stay_with_pillow(name: ImageFormat) -> None:
    codec, encoding = PillowCodec(), Encoding(name, 70, None)
    files = NvJpeg(CPU, codec).encode_frames(FRAMES, encoding, RECEIPT)
    assert files == encode_frames(FRAMES, encoding, RECEIPT)
    assert codec.calls == []


def test_a_frame_that_is_not_encoded_is_an_error() -> None:
    with pytest.raises(NoNvJpegError, match="made no file"):
        NvJpeg(CPU, PillowCodec(refused=1)).encode_frames(FRAMES, Encoding("jpeg", 70, None))


def test_an_encoder_without_a_driver_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Driverless(PillowCodec):
        def Encoder(self, **arguments: object) -> PillowCodec:  # noqa: N802
            raise RuntimeError("Could not create encoder. Code: 8")

    monkeypatch.setattr(nvjpeg, "find_codec", lambda device: Driverless())
    with pytest.raises(NoNvJpegError, match="Code: 8"):
        open_nvjpeg(torch.device("cuda"))


def test_nvjpeg_is_not_replaced_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Settings(jpeg_encoder="nvjpeg", device="cpu")
    with pytest.raises(NoNvJpegError, match="CUDA device, got cpu"):
        Backend.of(config).encode_frames()
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", None)
    with pytest.raises(NoNvJpegError, match="extra nvjpeg: pip install"):
        open_nvjpeg(torch.device("cuda"))
    assert Backend.of(Settings()).encode_frames() is encode_frames


@pytest.mark.gpu  # never run yet: there was no device
def test_a_gpu_encodes_what_pillow_does() -> None:
    encoding = Encoding("jpeg", 90, None)
    gpu = open_nvjpeg(torch.device("cuda", torch.cuda.current_device()))
    smooth = [np.full((16, 24, 3), colour, np.uint8) for colour in ((200, 30, 60), (9, 99, 199))]
    for file, other in zip(
        gpu.encode_frames(smooth, encoding), encode_frames(smooth, encoding), strict=True
    ):
        ours, theirs = (np.asarray(Image.open(io.BytesIO(one)), int) for one in (file, other))
        assert np.abs(ours - theirs).mean() < 2
