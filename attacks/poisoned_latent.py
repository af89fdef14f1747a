"""Latents that would turn everything behind them into NaN: infinite, huge, of the wrong shape."""

import httpx

from attacks.broken import expect
from attacks.client import first_edit, refusal

POISON = ("[NaN]", "[Infinity]", "[1e39]", "[1e300]", "[]", "[[]]", "[null]", '["0"]', "{}")


def attack(client: httpx.Client) -> str:
    """Send each, also in spellings that JSON does not have."""
    edit = first_edit(client)
    wish = f'{{"attribute": "{edit["attribute"]}", "target": "{edit["target"]}"}}'
    headers = {"content-type": "application/json"}
    for latent in POISON:
        body = f'{{"source": {{"latent": {latent}}}, "edits": [{wish}]}}'
        answer = client.post("/v1/edit", content=body, headers=headers)
        code = refusal(answer)
        expect(code in ("bad_latent", "bad_request"), f"{latent}: {code}")
    return f"refused {len(POISON)} of {len(POISON)}"
