"""service/logs.py and request_log.py: what a line holds, and what none may hold."""

import base64
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from model_store import StoredModel
from service.logs import FIELDS, JsonFormatter, TextFormatter
from service.request_ids import working_on
from tests.doubles import Z_DIM
from tests.pods import seconds_until
from tests.servers import running_server

FIRST = 0.6180339887
LATENT = [FIRST + index / 1000 for index in range(Z_DIM)]
BODY = {"model": "tiny", "edits": [{"attribute": "hair", "target": "blond", "steps": 3}]}


def record(
    message: str, error: Exception | None = None, fields: dict[str, Any] | None = None
) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("gradctrl.service", logging.ERROR, "f.py", 1, message, (), info)
    made.__dict__[FIELDS] = fields or {}
    return made


def raised(message: str) -> Exception:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_a_line_is_json_with_the_request_it_belongs_to() -> None:
    with working_on("abc"):
        line = json.loads(JsonFormatter().format(record("it failed", fields={"ms": 3})))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "ERROR",
        "component": "server",
        "logger": "gradctrl.service",
        "message": "it failed",
        "request_id": "abc",
        "trace_id": None,
        "ms": 3,
    }


def test_an_error_has_its_frames_and_no_variables() -> None:
    line = json.loads(JsonFormatter().format(record("it failed", raised("too bad"))))
    assert (line["error"]["type"], line["error"]["message"]) == ("ValueError", "too bad")
    assert "test_logs.py" in line["error"]["frames"][-1]
    text = TextFormatter().format(record("it failed", raised("too bad")))
    assert text.endswith("ValueError: too bad")


@pytest.mark.parametrize(
    ("quoted", "left"),
    [
        (f"bad latent {LATENT}", "bad latent [...]"),
        (f"got {np.array(LATENT)}", "got [...]"),
        (f"row {[LATENT, LATENT]}", "row [[...]]"),
        ("cannot decode " + base64.b64encode(bytes(200)).decode(), "cannot decode ..."),
        ("shape (4, 3) of 16 px in 2.5 s", "shape (4, 3) of 16 px in 2.5 s"),
        ("sha256 " + "ab" * 32, "sha256 " + "ab" * 32),
    ],
)
def test_messages_lose_the_data_that_they_quote(quoted: str, left: str) -> None:
    for made in (record(quoted), record("x", raised(quoted))):
        line = json.loads(JsonFormatter().format(made))
        assert left in (line["message"], line.get("error", {}).get("message"))


def test_long_messages_are_cut() -> None:
    assert len(JsonFormatter().format(record("word " * 10_000))) < 1000


@pytest.fixture(scope="module")
def served(
    tiny: StoredModel, bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    log = tmp_path_factory.mktemp("logs") / "log.txt"
    with running_server(bentoml_home, log, "--models", "tiny", GRADCTRL_LOG_FORMAT="json") as url:
        yield url, log


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def photo() -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        buffer, "PNG"
    )
    return base64.b64encode(buffer.getvalue()).decode()


def test_every_line_is_json_and_requests_are_found_by_their_id(served: tuple[str, Path]) -> None:
    url, log = served
    answers = [
        httpx.post(f"{url}/v1/edit", json={**BODY, "source": {"seed": 4}}),
        httpx.post(f"{url}/v1/edit", json={**BODY, "model": "nobody", "source": {"seed": 4}}),
    ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert answers[0].json()["request_id"] == ids[0]
    seconds_until(lambda: ids[1] in log.read_text())
    found = {line["request_id"]: line for line in lines(log) if "status" in line}
    assert [found[one]["status"] for one in ids] == ["200", "404"]
    assert found[ids[0]]["bytes_sent"] == len(answers[0].content)
    assert all("request_id" in line for line in lines(log))
    components = {line["component"] for line in lines(log)}
    assert components == {"server", "edit_service", "classifier_runner", "generator_runner"}


def test_no_image_and_no_latent_is_logged(served: tuple[str, Path]) -> None:
    url, log = served
    image = photo()
    bodies: list[Any] = [
        {**BODY, "source": {"latent": LATENT, "space": "z"}},
        {**BODY, "source": {"latent": [*LATENT, 1.0], "space": "z"}},
        {**BODY, "source": {"latent": [*LATENT[1:], "x"], "space": "z"}},
        {**BODY, "source": {"image": image}},
        {**BODY, "source": {"image": image[:-7]}},
        {"model": "tiny", "latents": {"space": "z", "values": [LATENT]}},
    ]
    with httpx.Client(base_url=url, timeout=60) as client:
        for path in ("/v1/edit", "/v1/edit/image", "/v1/edit/stream", "/v1/generate", "/v1/score"):
            for body in bodies:
                client.post(path, json=body)
        client.post("/v1/edit", content=b'{"source": ' + image.encode())
        client.get("/v1/models", params={"secret": image[:200]})
        last = client.get("/v1/nothing").headers["x-request-id"]
    seconds_until(lambda: last in log.read_text())
    text = log.read_text()
    assert len([line for line in lines(log) if line["logger"] == "gradctrl.access"]) >= 30
    assert str(FIRST)[:6] not in text
    for start in range(0, 400, 40):
        assert image[start : start + 40] not in text
    assert max(len(line) for line in text.splitlines()) < 2000
