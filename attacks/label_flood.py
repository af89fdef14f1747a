"""Thousands of names in requests, so that each becomes a series in the operator's Prometheus."""

import httpx

from attacks.broken import expect
from attacks.client import first_edit

NAMES = 1_000


def series(client: httpx.Client) -> int:
    """How many series /metrics shows."""
    lines = client.get("/metrics").text.splitlines()
    return sum(not line.startswith("#") for line in lines)


def attack(client: httpx.Client) -> str:
    """Count series before and after."""
    edit = first_edit(client)
    body = {"source": {"seed": 1}, "edits": [edit]}
    for _ in range(3):  # what a first call of each kind adds is no flood
        client.get("/nobody")
        client.post("/v1/edit", json={**body, "model": "nobody"})
        client.post("/v1/edit", json={**body, "edits": [{**edit, "attribute": "nobody"}]})
    before = series(client)
    for number in range(NAMES):
        name = f"name-{number}"
        if number % 3 == 0:
            client.get(f"/{name}")
        elif number % 3 == 1:
            client.post("/v1/edit", json={**body, "model": name})
        else:
            client.post("/v1/edit", json={**body, "edits": [{**edit, "attribute": name}]})
    grown = series(client) - before
    expect(grown <= 10, f"{grown} new series of {NAMES} names")
    return f"{grown} new series of {NAMES} names"
