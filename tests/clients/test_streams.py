"""gradctrl_client.streams: a stream in the caller's hands, over both transports."""

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from gradctrl_client import Client, Frame


@pytest.fixture(params=["rest", "rpc"])
def client(request: pytest.FixtureRequest, service_url: str, grpc_address: str) -> Iterator[Client]:
    url = service_url if request.param == "rest" else f"grpc://{grpc_address}"
    with Client(url) as opened:
        yield opened


def test_frames_then_the_summary(client: Client) -> None:
    stream = client.edit_stream("smile", "smiling", seed=7, steps=3)
    assert stream.summary is None
    frames = list(stream)
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [frame.step for frame in frames] == [0, 1, 2, 3]
    assert stream.summary is not None
    assert stream.summary.edits[0].steps_taken == 3
    assert list(stream) == []


def test_collect_is_the_answer_of_edit(client: Client) -> None:
    whole = client.edit("hair", "blond", seed=5)
    collected = client.edit_stream("hair", "blond", seed=5).collect()
    assert [f.encoded for f in collected.frames] == [f.encoded for f in whole.frames]
    assert [f.scores for f in collected.frames] == [f.scores for f in whole.frames]
    assert collected.latent.tobytes() == whole.latent.tobytes()
    assert collected.receipt == whole.receipt


def test_leaving_early_stops_the_work(client: Client, service_url: str) -> None:
    """The service says so in its metrics, or had rendered everything already."""
    before = cancelled(service_url)
    tries = 0
    while cancelled(service_url) == before and tries < 40:
        tries += 1
        options = {"model": "tiny-style", "steps": 64, "exclude": [], "output": {"size": 1024}}
        with client.edit_stream("smile", "smiling", seed=100 + tries, **options) as stream:  # type: ignore[arg-type]
            next(stream)
        time.sleep(0.2)
    assert cancelled(service_url) > before


def cancelled(url: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    lines = re.findall(r"^gradctrl_cancelled_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(float(value) for value in lines)
