"""Requests that would keep a service busy for hours: steps, edits, sizes and seeds."""

import httpx

from attacks.broken import expect
from attacks.client import first_edit, refusal


def attack(client: httpx.Client) -> str:
    """Ask for each; all are refused before anything is worked on."""
    edit, source = first_edit(client), {"seed": 1}
    bodies: list[tuple[str, dict[str, object]]] = [
        ("/v1/edit", {"source": source, "edits": [{**edit, "steps": 10**9}]}),
        ("/v1/edit", {"source": source, "edits": [edit] * 1000}),
        ("/v1/edit", {"source": source, "edits": [edit], "output": {"size": 10**6}}),
        ("/v1/generate", {"seeds": list(range(100_000))}),
        ("/v1/generate", {"seeds": [2**80]}),
        ("/v1/score", {"latents": [[0.0]] * 100_000}),
    ]
    for path, body in bodies:
        code = refusal(client.post(path, json=body))
        expect(code in ("bad_request", "bad_latent"), f"{path}: {code}")
    return f"refused {len(bodies)} of {len(bodies)}"
