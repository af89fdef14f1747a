"""Large bodies that never end, on many connections at once: are all of them kept?"""

import select
import socket
from contextlib import ExitStack, suppress

import httpx

from attacks.broken import expect

BODIES = 60
SIZE = 9_000_000  # below the limit of one body
MOST = 200_000_000  # bytes of all


def attack(client: httpx.Client) -> str:
    """Send all but the end of each, and ask for something small in between."""
    host, port = client.base_url.host, client.base_url.port or 80
    lines = [f"POST /v1/edit HTTP/1.1\r\nHost: {host}\r\nContent-Length: {SIZE + 1}"]
    lines += [f"{name}: {value}" for name, value in client.headers.items()]
    message = "\r\n".join(lines).encode() + b"\r\n\r\n" + b" " * SIZE
    with ExitStack() as stack:
        senders = []
        for _ in range(BODIES):
            sender = stack.enter_context(socket.create_connection((host, port)))
            with suppress(ConnectionError):  # it was refused while we were sending
                sender.sendall(message)
            senders.append(sender)
        answer = client.post("/v1/generate", json={"seeds": [3]})
        refused, _, _ = select.select(senders, [], [], 0)
    expect(answer.status_code == 200, f"others get {answer.status_code}")
    held = (BODIES - len(refused)) * SIZE
    expect(held <= MOST, f"{held / 1e6:.0f} MB were kept")
    return f"{len(refused)} of {BODIES} bodies were refused, {held / 1e6:.0f} MB kept"
