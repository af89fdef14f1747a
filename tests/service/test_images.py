"""service/images.py: real files that Pillow opens again."""

import io
import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from service.images import Encoding, encode, encode_animation
from service.provenance import SERVICE_VERSION, Provenance, xmp_of

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
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


RECEIPT = Provenance("tiny", "ab" * 32)


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "gif"])
@pytest.mark.parametrize("animated", [False, True])
def test_files_say_what_made_them(name: str, animated: bool) -> None:
    encoding = Encoding(name, 90, None)  # type: ignore[arg-type]
    if animated and name in ("png", "jpeg"):
        return  # no animations of these
    if animated:
        image = decoded(encode_animation([PIXELS, PIXELS // 2], encoding, RECEIPT))
    else:
        image = decoded(encode(PIXELS, encoding, RECEIPT))
    image.load()
    if name == "gif":
        assert json.loads(image.info["comment"])["model_sha256"] == "ab" * 32
        return
    packet = image.info["XML:com.adobe.xmp" if name == "png" else "xmp"]
    tree = ElementTree.fromstring(packet if isinstance(packet, str) else packet.decode())
    (facts,) = tree.iter(f"{RDF}Description")
    source_type = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    assert facts.attrib[source_type].endswith("/trainedAlgorithmicMedia")
    (text,) = tree.iter(f"{RDF}li")
    assert json.loads(text.text or "") == {
        "made_by": "GradCtrl",
        "model": "tiny",
        "model_sha256": "ab" * 32,
        "is_composite": False,
        "noise": "const",
        "version": SERVICE_VERSION,
    }


def test_a_photo_with_an_edit_in_it_is_a_composite() -> None:
    assert b"/compositeWithTrained" in xmp_of(replace(RECEIPT, is_composite=True))
