"""Streams that nobody reads, in the hope that the service waits for their readers."""

import socket
import time
from contextlib import ExitStack

import httpx

from attacks.broken import expect
from attacks.client import first_edit

STREAMS = 40
LONGEST_S = 20.0


def attack(client: httpx.Client) -> str:
    """Open many, read none, and ask for something small in between."""
    steps = {"steps": 64, "step_size": 0.001, "exclude": []}
    body = {"source": {"seed": 1}, "edits": [first_edit(client, **steps)]}
    model = client.get("/v1/models").json()["models"][0]["name"]
    request = client.build_request("POST", "/v1/edit/stream", json=body)
    host, port = client.base_url.host, client.base_url.port or 80
    lines = [f"POST /v1/edit/stream HTTP/1.1\r\nHost: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name != "host"]
    message = "\r\n".join(lines).encode() + b"\r\n\r\n" + request.content
    with ExitStack() as stack:
        for _ in range(STREAMS):
            stack.enter_context(socket.create_connection((host, port))).sendall(message)
        started = time.monotonic()
        answer = client.post("/v1/generate", json={"model": model, "seeds": [2]})
        took = time.monotonic() - started
    expect(answer.status_code in (200, 503), f"answered {answer.status_code}")
    expect(took < LONGEST_S, f"others wait {took:.1f} s")
    return f"{answer.status_code} for another client after {took:.1f} s"
