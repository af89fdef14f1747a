"""/v1/edit/stream on the real service: same frames as /v1/edit, disconnects, slow readers."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_store import StoredModel
from tests.servers import running_server

EDIT: dict[str, Any] = {
    "source": {"seed": 12},
    "edits": [{"attribute": "hair", "target": "blond", "steps": 9}],
}
LONG: dict[str, Any] = {  # 513 large frames: many seconds of work
    "edits": [{"attribute": "hair", "target": "blond", "steps": 64, "step_size": 0.01}] * 8,
    "output": {"size": 1024},
}


def events(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def metric(url: str, *starts: str) -> float:
    text = httpx.get(f"{url}/metrics", timeout=10).text
    return sum(
        float(line.split()[-1])
        for line in text.splitlines()
        if line.startswith(starts[0]) and all(part in line for part in starts[1:])
    )


def wait_for(condition: Callable[[], bool], at_most_s: float = 10) -> None:
    deadline = time.monotonic() + at_most_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def expect_stopped(url: str) -> None:
    """Nothing is in flight any more, and no further frame is rendered."""
    wait_for(lambda: metric(url, "gradctrl_in_flight") == 0)
    frames = metric(url, "gradctrl_frames_total")
    time.sleep(0.5)
    assert metric(url, "gradctrl_frames_total") == frames


@pytest.mark.parametrize("frames", ["all", "final"])
def test_a_stream_has_the_frames_of_an_edit(service_url: str, frames: str) -> None:
    source = {"seed": 100 + len(frames)}  # kept by no other test
    body = {**EDIT, "source": source, "frames": frames, "model": "tiny-style"}
    answer = httpx.post(f"{service_url}/v1/edit/stream", json=body, timeout=30)
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events(answer.text)
    whole = httpx.post(f"{service_url}/v1/edit", json=body, timeout=30).json()
    assert [name for name, _ in found] == ["frame"] * len(whole["frames"]) + ["summary"]
    assert [data for name, data in found if name == "frame"] == whole["frames"]
    summary = found[-1][1]
    for name in ("model", "latent", "edits", "receipt"):
        assert summary[name] == whole[name]
    assert summary["request_id"] == answer.headers["x-request-id"]
    kept = events(httpx.post(f"{service_url}/v1/edit/stream", json=body, timeout=30).text)
    assert kept[:-1] == found[:-1]


def test_stream_and_edit_agree_when_neither_comes_from_the_cache(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    with running_server(
        bentoml_home, tmp_path / "log.txt", "--models", "tiny-style", GRADCTRL_CACHE_BYTES="0"
    ) as url:
        for steps in (0, 2, 3, 4, 9):
            body = {**EDIT, "edits": [{**EDIT["edits"][0], "steps": steps}]}
            found = events(httpx.post(f"{url}/v1/edit/stream", json=body, timeout=30).text)
            whole = httpx.post(f"{url}/v1/edit", json=body, timeout=30).json()
            assert [data for _, data in found[:-1]] == whole["frames"]
        assert metric(url, "gradctrl_cache_total", "hit") == 0


def test_a_refusal_before_the_first_frame_is_an_http_error(service_url: str) -> None:
    body = {**EDIT, "edits": [{"attribute": "beard", "target": "full"}]}
    answer = httpx.post(f"{service_url}/v1/edit/stream", json=body, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "edits[0].attribute"


def test_a_reader_that_leaves_stops_the_work(service_url: str) -> None:
    before = metric(service_url, "gradctrl_edits_total", '"cancelled"')
    body = {**LONG, "source": {"seed": 1}}
    with httpx.stream("POST", f"{service_url}/v1/edit/stream", json=body, timeout=30) as answer:
        first = next(answer.iter_lines())
        assert first == "event: frame"
    expect_stopped(service_url)
    assert metric(service_url, "gradctrl_edits_total", '"cancelled"') == before + 8


def test_a_client_that_leaves_an_edit_stops_the_work(service_url: str) -> None:
    before = metric(service_url, "gradctrl_cancelled_total", '"generator"')
    with pytest.raises(httpx.TimeoutException):
        httpx.post(f"{service_url}/v1/edit", json={**LONG, "source": {"seed": 2}}, timeout=1.5)
    expect_stopped(service_url)
    assert metric(service_url, "gradctrl_cancelled_total", '"generator"') == before + 1


def unread(url: str, seed: int) -> socket.socket:
    """A stream that is asked for, and never read."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", httpx.URL(url).port or 80))
    body = json.dumps({**LONG, "source": {"seed": seed}, "output": {"size": 256}})
    head = f"POST /v1/edit/stream HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    reader.sendall(f"{head}Content-Type: application/json\r\n\r\n{body}".encode())
    return reader


@pytest.mark.slow
def test_readers_that_read_nothing_keep_no_other_request_out(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    with running_server(
        bentoml_home, tmp_path / "log.txt", "--models", "tiny", GRADCTRL_MAX_IN_FLIGHT="2"
    ) as url:

        def status(path: str) -> int:
            return httpx.post(f"{url}{path}", json=EDIT, timeout=30).status_code

        with unread(url, 5), unread(url, 6):
            wait_for(lambda: metric(url, "gradctrl_frames_total") > 0)
            wait_for(lambda: status("/v1/edit") == 200)
            refused = httpx.post(f"{url}/v1/edit/stream", json=EDIT, timeout=30)
            assert refused.json()["error"]["message"].startswith("too many streams")
            assert status("/v1/edit") == 200
        wait_for(lambda: status("/v1/edit/stream") == 200)


@pytest.mark.slow
def test_a_slow_reader_is_bounded_and_ends_with_its_deadline(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    with running_server(
        bentoml_home, tmp_path / "log.txt", "--models", "tiny", GRADCTRL_TIMEOUT_S="4"
    ) as url:
        with unread(url, 3):
            wait_for(lambda: metric(url, "gradctrl_frames_total") > 0)
            time.sleep(2)
            held = metric(url, "gradctrl_frames_total")
            time.sleep(1)
            assert metric(url, "gradctrl_frames_total") == held < 100
            time.sleep(4)
            assert metric(url, "gradctrl_edits_total", '"cancelled"') == 8
        expect_stopped(url)


def test_a_deadline_in_mid_stream_is_an_event(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    with running_server(
        bentoml_home, tmp_path / "log.txt", "--models", "tiny", GRADCTRL_TIMEOUT_S="5"
    ) as url:
        body = {**LONG, "source": {"seed": 4}}
        answer = httpx.post(f"{url}/v1/edit/stream", json=body, timeout=30)
        name, data = events(answer.text)[-1]
    assert name == "error"
    assert data["error"]["code"] == "deadline_exceeded"
