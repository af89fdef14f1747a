"""Calls without a key, with a wrong one, and with one where no key belongs."""

import httpx

from attacks.broken import expect
from attacks.client import refusal

FORGERIES: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": "Bearer"},
    {"Authorization": "Basic Z2M6Z2M="},
    {"Authorization": "Bearer " + "0" * 5000},
    {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
)
PATHS = ("/v1/models", "//v1/models", "/v1/../v1/models", "/v1%2Fmodels", "/V1/models")


def attack(client: httpx.Client) -> str:
    """Get at the models; a service without keys is open, which it says at start."""
    with httpx.Client(base_url=client.base_url, timeout=30) as stranger:
        if stranger.get("/v1/models").is_success:
            return "not tried: the service has no keys"
        for headers in FORGERIES:
            code = refusal(stranger.get("/v1/models", headers=headers))
            expect(code == "unauthenticated", f"{headers}: {code}")
        for path in PATHS:
            answer = stranger.get(path)
            expect(not answer.is_success, f"{path} is open")
    return f"unauthenticated, {len(FORGERIES)} forgeries and {len(PATHS)} spellings"
