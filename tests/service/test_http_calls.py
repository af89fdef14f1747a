"""Headers of the REST API on the real service: entity tags, idempotency keys, methods."""

from typing import Any

import httpx
import pytest

EDIT: dict[str, Any] = {
    "source": {"seed": 4},
    "edits": [{"attribute": "smile", "target": "smiling", "steps": 3}],
}
TAGGED = {
    "/v1/edit": EDIT,
    "/v1/edit/image": EDIT,
    "/v1/generate": {"seeds": [4]},
    "/v1/score": {"latents": [[0.5] * 16]},
    "/v1/directions": {"latent": [0.5] * 16, "attribute": "smile", "target": "smiling"},
}


def post(url: str, path: str, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}{path}", json=body, headers=headers, timeout=30)


def cached(url: str, result: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    name = f'gradctrl_cache_total{{result="{result}"}}'
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


@pytest.mark.parametrize("path", TAGGED)
def test_a_known_answer_is_not_sent_again(service_url: str, path: str) -> None:
    first = post(service_url, path, TAGGED[path])
    tag = first.headers["etag"]
    assert tag.startswith('W/"')  # other bytes may answer: of another device, or batch size
    again = post(service_url, path, TAGGED[path], **{"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    other = post(service_url, path, TAGGED[path], **{"If-None-Match": '"other"'})
    assert other.status_code == 200
    named = {**TAGGED[path], "model": "tiny"}
    assert post(service_url, path, named).headers["etag"] == tag
    assert post(service_url, path, {**named, "model": "tiny-cond"}).headers.get("etag") != tag


def test_equal_requests_hit_the_cache_and_keep_their_own_id(service_url: str) -> None:
    body = {**EDIT, "source": {"seed": 41}}
    hits, misses = cached(service_url, "hit"), cached(service_url, "miss")
    first, again = (post(service_url, "/v1/edit", body) for _ in range(2))
    assert cached(service_url, "hit") == hits + 1
    assert cached(service_url, "miss") == misses + 1
    own = {"request_id", "timings_ms"}
    ours, theirs = first.json(), again.json()
    assert {k: v for k, v in ours.items() if k not in own} == {
        k: v for k, v in theirs.items() if k not in own
    }
    assert ours["request_id"] == first.headers["x-request-id"] != theirs["request_id"]


@pytest.mark.parametrize("path", ["/v1/edit", "/v1/edit/image", "/v1/generate"])
def test_an_idempotency_key_repeats_the_answer(service_url: str, path: str) -> None:
    key = {"Idempotency-Key": f"key of {path}"}
    first = post(service_url, path, TAGGED[path], **key)
    assert post(service_url, path, TAGGED[path], **key).content == first.content
    refused = post(service_url, path, {**TAGGED[path], "truncation": 0.5}, **key)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (422, "bad_request")
    assert error["field"] == "Idempotency-Key"


def test_a_bad_key_is_refused(service_url: str) -> None:
    answer = post(service_url, "/v1/edit", EDIT, **{"Idempotency-Key": "x" * 256})
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "Idempotency-Key"


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "DELETE"])
def test_a_wrong_method_names_the_right_ones(service_url: str, method: str) -> None:
    answer = httpx.request(method, f"{service_url}/v1/edit")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["allowed"] == ["POST"]
    nowhere = httpx.request(method, f"{service_url}/v1/nowhere")
    assert nowhere.status_code == 404
