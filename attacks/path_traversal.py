"""Names that are paths, in the hope that one reaches a file."""

import httpx

from attacks.broken import expect

NAMES = ("../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "avatars:../..", "a\x00b")
PLACES = (
    "/playground/../service/settings.py",
    "/playground/..%2f..%2fpyproject.toml",
    "/playground/%2e%2e/app.py",
    "/v1/jobs?id=../../etc/passwd",
)


def attack(client: httpx.Client) -> str:
    """Ask for a model and for a file by each name."""
    for name in NAMES:
        answer = client.post("/v1/generate", json={"model": name, "seeds": [1]})
        expect(answer.status_code in (400, 404), f"{name}: {answer.status_code}")
    for place in PLACES:
        answer = client.get(place)
        expect(answer.status_code in (400, 404), f"{place}: {answer.status_code}")
        expect("root:" not in answer.text and "[project]" not in answer.text, place)
    return f"refused {len(NAMES) + len(PLACES)} names"
