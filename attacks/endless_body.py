"""A chunked body without an end and without a length: is all of it kept?"""

from collections.abc import Iterator

import httpx

from attacks.broken import BrokenError, expect
from attacks.client import refusal

CHUNK = b"x" * 100_000
MOST = 2_000  # chunks: 200 MB, if nobody stops it


def attack(client: httpx.Client) -> str:
    """Send until somebody says no."""
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(MOST):
            sent += len(CHUNK)
            yield CHUNK

    try:
        code = refusal(client.post("/v1/edit", content=chunks()))
    except httpx.TransportError as error:  # the connection was closed while we were sending
        code = type(error).__name__
    if sent >= MOST * len(CHUNK):
        raise BrokenError(f"all of {sent} bytes were read")
    expect(code in ("bad_request", "WriteError", "ReadError", "RemoteProtocolError"), code)
    return f"{code} after {sent / 1e6:.0f} MB"
