"""A PNG of a few hundred kilobytes that claims, and would unpack to, more than a gigabyte."""

import base64
import struct
import zlib

import httpx

from attacks.broken import expect
from attacks.client import refusal

SIDE = 20_000


def bomb() -> bytes:
    """A valid grey image of SIDE x SIDE pixels."""
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(SIDE + 1)) for _ in range(SIDE)) + packer.flush()
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def attack(client: httpx.Client) -> str:
    """Ask for its inversion."""
    body = {"image": base64.b64encode(bomb()).decode()}
    code = refusal(client.post("/v1/invert", json=body))
    expect(code == "image_too_large", f"answered {code}")
    return code
