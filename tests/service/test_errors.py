"""Bad input to the real service: one clear error each, right status, and it stays up."""

from typing import Any

import httpx
import pytest

from model_store import METHODS

GOOD = {"attribute": "smile", "target": "smiling"}
SEED = {"seed": 1}


def body(source: dict[str, Any] | None = None, **change: Any) -> dict[str, Any]:
    return {"source": SEED if source is None else source, "edits": [{**GOOD, **change}]}


CASES: list[tuple[str, dict[str, Any], int, str, str, Any]] = [
    (
        "/v1/edit",
        {**body(), "model": "nobody"},
        404,
        "unknown_model",
        "model",
        ["tiny", "tiny-style", "tiny-cond"],
    ),
    (
        "/v1/edit",
        body(attribute="beard"),
        400,
        "unknown_attribute",
        "edits[0].attribute",
        ["smile", "age", "hair"],
    ),
    (
        "/v1/edit",
        body(target="grinning"),
        400,
        "unknown_class",
        "edits[0].target",
        ["not_smiling", "smiling"],
    ),
    ("/v1/edit", body({"latent": [0.0] * 15}), 400, "bad_latent", "source.latent", None),
    ("/v1/edit", body({"latent": ["1"] * 16}), 400, "bad_latent", "source.latent", None),
    ("/v1/edit", body({"latent": [[0.0] * 15 + [True]]}), 400, "bad_latent", "source.latent", None),
    ("/v1/edit", body({"latent": [None] * 16}), 400, "bad_latent", "source.latent", None),
    ("/v1/edit", body({"seed": 1, "space": "z"}), 400, "bad_request", "source.space", None),
    ("/v1/edit", body({"latent": [1e60] * 16}), 400, "bad_latent", "source.latent", None),
    ("/v1/edit", body({"latent": [-1e7] * 16}), 400, "bad_latent", "source.latent", None),
    (
        "/v1/edit",
        body({"latent": [0.0] * 16, "space": "w_plus"}),
        400,
        "bad_latent",
        "source.space",
        ["z"],
    ),
    ("/v1/edit", body(steps=65), 400, "bad_request", "edits[0].steps", ["le 64"]),
    ("/v1/edit", body(steps=-1), 400, "bad_request", "edits[0].steps", ["ge 0"]),
    ("/v1/edit", body(step_size=0), 400, "bad_request", "edits[0].step_size", ["gt 0.0"]),
    (
        "/v1/edit",
        body({"seed": 1, "latent": [0.0] * 16}),
        400,
        "bad_request",
        "source",
        ["seed", "latent", "image"],
    ),
    ("/v1/edit", body({}), 400, "bad_request", "source", ["seed", "latent", "image"]),
    (
        "/v1/edit",
        body({"image": "AAAA"}),
        400,
        "bad_image",
        "source.image",
        ["PNG", "JPEG", "WEBP"],
    ),
    ("/v1/edit", body({"seed": -1}), 400, "bad_request", "source.seed", ["ge 0"]),
    (
        "/v1/edit",
        body(exclude=[{"attribute": "smile", "top_k": 1}]),
        400,
        "bad_request",
        "edits[0].exclude[0].attribute",
        ["age", "hair"],
    ),
    (
        "/v1/edit",
        body(exclude=[{"attribute": "age", "top_k": 1}, {"attribute": "age", "top_k": 2}]),
        400,
        "bad_request",
        "edits[0].exclude[1].attribute",
        ["hair"],
    ),
    (
        "/v1/edit",
        body(exclude=[{"attribute": "age", "top_k": 17}]),
        400,
        "bad_request",
        "edits[0].exclude[0].top_k",
        [0, 16],
    ),
    (
        "/v1/edit",
        body(exclude=[{"attribute": "age", "top_k": 16}]),
        422,
        "no_editable_channels",
        "edits[0].exclude",
        None,
    ),
    ("/v1/edit", body(layers=[0, 5]), 400, "bad_request", "edits[0].layers", [0, 1]),
    ("/v1/edit", body(method="magic"), 400, "bad_request", "edits[0].method", [*METHODS]),
    ("/v1/edit", {**body(), "edits": []}, 400, "bad_request", "edits", ["min_length 1"]),
    ("/v1/edit", {**body(), "surprise": 1}, 400, "bad_request", "surprise", None),
    (
        "/v1/edit",
        {**body(), "output": {"format": "gif"}},
        400,
        "bad_request",
        "output.format",
        ["png", "jpeg", "webp"],
    ),
    (
        "/v1/edit/image",
        {**body(), "animation": True, "output": {"format": "png"}},
        400,
        "bad_request",
        "output.format",
        ["webp", "gif"],
    ),
    (
        "/v1/edit/image",
        {**body(), "animation": True, "frames": "final"},
        400,
        "bad_request",
        "frames",
        ["all"],
    ),
    ("/v1/generate", {}, 400, "bad_request", "seeds", ["seeds", "latents"]),
    ("/v1/generate", {"seeds": [1], "space": "z"}, 400, "bad_request", "space", None),
    ("/v1/score", {"latents": [[0.0]]}, 400, "bad_latent", "latents[0]", None),
    (
        "/v1/directions",
        {"latent": [0.0] * 16, "attribute": "nose", "target": "x"},
        400,
        "unknown_attribute",
        "attribute",
        ["smile", "age", "hair"],
    ),
    (
        "/v1/directions",
        {
            "latent": [0.0] * 16,
            "attribute": "smile",
            "target": "smiling",
            "exclude": [{"attribute": "age", "top_k": 16}],
        },
        422,
        "no_editable_channels",
        "exclude",
        None,
    ),
]


@pytest.mark.parametrize(("path", "request_body", "status", "code", "field", "allowed"), CASES)
def test_refusals(
    service_url: str,
    path: str,
    request_body: dict[str, Any],
    status: int,
    code: str,
    field: str,
    allowed: Any,
) -> None:
    answer = httpx.post(f"{service_url}{path}", json=request_body, timeout=30)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (status, code, field)
    assert error["message"]
    assert error.get("allowed") == allowed


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_non_finite_latents(service_url: str, value: str) -> None:
    numbers = ",".join(["0.5"] * 15 + [value])
    raw = '{"source": {"latent": [%s]}, "edits": [{"attribute": "smile", "target": "smiling"}]}'
    answer = httpx.post(
        f"{service_url}/v1/edit",
        content=raw % numbers,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_latent"


@pytest.mark.parametrize(
    ("content", "media", "field"),
    [
        (b'{"source":broken', "application/json", "body"),
        (b"{}", "text/plain", "content-type"),
        (b"{}", "application/x-www-form-urlencoded", "content-type"),  # what curl -d says
        (b"[1]", "application/json", "body"),
        (b"", "application/json", "body"),
    ],
)
def test_bodies_that_are_no_request(
    service_url: str, content: bytes, media: str, field: str
) -> None:
    answer = httpx.post(f"{service_url}/v1/edit", content=content, headers={"content-type": media})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("bad_request", field)


@pytest.mark.parametrize(
    "sent",
    [body(attribute="x" * 100_000), {**body(), "x" * 100_000: 1}, body(target="x" * 100_000)],
)
def test_a_long_name_is_not_sent_back_whole(service_url: str, sent: dict[str, Any]) -> None:
    answer = httpx.post(f"{service_url}/v1/edit", json=sent)
    assert answer.status_code == 400
    assert len(answer.content) < 3000


def test_an_oversized_body_is_refused_while_it_is_read(service_url: str) -> None:
    answer = httpx.post(
        f"{service_url}/v1/edit",
        content=(b" " * 1_000_000 for _ in range(11)),
        headers={"content-type": "application/json"},
        timeout=30,
    )
    assert answer.status_code == 413
    assert "10000000 bytes" in answer.json()["error"]["message"]


def test_unknown_paths_and_methods_use_the_error_model(service_url: str) -> None:
    missing = httpx.get(f"{service_url}/v1/nothing")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "bad_request")
    wrong = httpx.get(f"{service_url}/v1/edit")
    assert wrong.json()["error"]["code"] == "bad_request"
    assert wrong.status_code in (404, 405)


def test_the_service_is_still_up(service_url: str) -> None:
    assert httpx.get(f"{service_url}/readyz").status_code == 200
    answer = httpx.post(f"{service_url}/v1/edit", json=body(), timeout=30)
    assert answer.status_code == 200
    text = httpx.get(f"{service_url}/metrics").text
    assert 'gradctrl_rejected_total{code="bad_request"}' in text
