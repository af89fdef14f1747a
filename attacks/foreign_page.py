"""A page of another origin that wants to use the service, or to show it in a frame."""

import httpx

from attacks.broken import expect

ORIGIN = "https://evil.example"


def attack(client: httpx.Client) -> str:
    """Ask as the browser of a visitor of that page would."""
    preflight = client.options(
        "/v1/edit",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    simple = client.get("/v1/models", headers={"Origin": ORIGIN})
    for answer in (preflight, simple):
        allowed = answer.headers.get("access-control-allow-origin")
        expect(allowed is None, f"{allowed} may read answers")
    forged = client.post("/v1/admin/reload", headers={"Origin": ORIGIN})  # needs no preflight
    expect(not forged.is_success, "any page has the models reloaded")
    page = client.get("/playground")
    expect("frame-ancestors 'none'" in page.headers["content-security-policy"], "can be framed")
    expect(page.headers["x-content-type-options"] == "nosniff", "types are guessed")
    return "no origin is allowed, no frame either"
