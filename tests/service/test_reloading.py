"""service/reloading.py on the real service: new versions under load, and ones that are not fit."""

import base64
import itertools
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest

from model_store import CLASSIFIERS_FILE, StoredModel, save_model
from tests.doubles import ATTRIBUTES, make_card, make_generator, make_head
from tests.pods import seconds_until
from tests.servers import runner_of, running_server

NAME = "tiny-reload"
RUNNERS = ("classifier_runner", "generator_runner")
PROCESSES = ("edit_service", *RUNNERS)
CLIENTS = 4
TIMEOUT_S = 3  # and so the time that a retired version is kept
EDIT: dict[str, Any] = {
    "model": NAME,
    "source": {"seed": 1},
    "edits": [{"attribute": "smile", "target": "smiling", "steps": 3}],
    "output": {"format": "png"},
}


SEEDS = itertools.count(100, 100)


def save_version() -> StoredModel:
    """A version of the model with heads of its own, now its latest."""
    first = next(SEEDS)
    heads = {a.name: make_head(len(a.classes), first + i) for i, a in enumerate(ATTRIBUTES)}
    return save_model(make_generator(), make_card(NAME), heads)


@dataclass(frozen=True)
class Service:
    """The running service."""

    url: str

    def reload(self) -> httpx.Response:
        """The answer of a reload."""
        return httpx.post(f"{self.url}/v1/admin/reload", timeout=30)

    def edit(self, **changes: Any) -> httpx.Response:
        """The answer of an edit."""
        return httpx.post(f"{self.url}/v1/edit", json={**EDIT, **changes}, timeout=30)

    @property
    def tags(self) -> list[str]:
        """What is served."""
        models = httpx.get(f"{self.url}/v1/models").json()["models"]
        return [model["tag"] for model in models]

    @property
    def loaded(self) -> set[str]:
        """The versions whose model_info is 1."""
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        info = re.findall(r'^gradctrl_model_info\{.*version="(\w+)".*\} 1\.0$', text, re.M)
        return {f"gradctrl-{NAME}:{version}" for version in info}


@pytest.fixture(scope="module")
def service(bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    save_version()
    log = tmp_path_factory.mktemp("reloading") / "log.txt"
    environment = {"GRADCTRL_TIMEOUT_S": str(TIMEOUT_S), "GRADCTRL_CACHE_BYTES": "0"}
    environment["GRADCTRL_JOB_TIMEOUT_S"] = str(TIMEOUT_S)
    with running_server(bentoml_home, log, "--models", NAME, **environment) as url:
        yield Service(url)


def pixels_of(answer: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(frame["image"]) for frame in answer["frames"]]


def pixels_after_kills(service: Service, names: Sequence[str]) -> list[bytes]:
    """The first answer once processes were killed, and started anew by BentoML."""
    for process in [runner_of(service.url, name) for name in names]:
        process.kill()
    answers: list[httpx.Response] = []

    def is_answered() -> bool:
        with suppress(httpx.TransportError):  # the API itself may be away
            answers.append(service.edit())
        return bool(answers) and answers[-1].status_code == httpx.codes.OK

    seconds_until(is_answered)
    return pixels_of(answers[-1].json())


def test_a_new_version_is_served_without_a_lost_request(service: Service) -> None:
    """Every edit is whole, and of one version: the old one until the reload, the new one after."""
    (first,) = service.tags
    by_version = {first: pixels_of(service.edit().json())}
    stop, reloaded = threading.Event(), threading.Event()

    def edit_on() -> list[tuple[bool, httpx.Response]]:
        answers = []
        while not stop.is_set():
            is_after = reloaded.is_set()
            answers.append((is_after, service.edit()))
        return answers

    with ThreadPoolExecutor(CLIENTS) as clients:
        running = [clients.submit(edit_on) for _ in range(CLIENTS)]
        time.sleep(0.5)
        second = save_version().tag
        answer = service.reload()
        reloaded.set()
        time.sleep(0.5)
        stop.set()
        found = [one for client in running for one in client.result()]

    assert answer.json() == {"served": [second], "added": [second], "retired": [first]}
    assert service.tags == [second]
    by_version[second] = pixels_of(service.edit().json())
    assert by_version[second] != by_version[first]
    assert {one.status_code for _, one in found} == {200}
    bodies = [(is_after, one.json()) for is_after, one in found]
    assert all(pixels_of(body) == by_version[body["model"]] for _, body in bodies)
    assert {body["model"] for is_after, body in bodies if is_after} == {second}
    assert any(body["model"] == first for _, body in bodies)


def test_metrics_tell_versions_and_more_reloads_change_nothing(service: Service) -> None:
    (first,), second = service.tags, save_version().tag
    assert first in service.loaded
    service.reload()
    assert {first, second} <= service.loaded
    again = {"served": [second], "added": [], "retired": []}
    assert service.reload().json() == again
    refused = service.edit(model=first)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_model")
    seconds_until(lambda: service.reload().json() == again and service.loaded == {second})


def test_a_retry_across_a_reload_gets_the_first_answer(service: Service) -> None:
    def edit() -> httpx.Response:
        headers = {"Idempotency-Key": "once"}
        return httpx.post(f"{service.url}/v1/edit", json=EDIT, headers=headers, timeout=30)

    first = edit()
    second = save_version().tag
    assert service.reload().json()["added"] == [second]
    assert edit().content == first.content


def test_a_version_that_was_changed_on_disk_is_refused(service: Service) -> None:
    """The old one is served on, also by runners that start anew meanwhile."""
    (first,), before = service.tags, pixels_of(service.edit().json())
    second = save_version()
    broken = second.path / CLASSIFIERS_FILE
    broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    refused = service.reload()
    assert (refused.status_code, refused.json()["error"]["code"]) == (500, "internal")
    assert second.tag in refused.json()["error"]["message"]
    assert "what was served before still is" in refused.json()["error"]["message"]
    assert service.tags == [first]

    assert pixels_after_kills(service, RUNNERS) == before
    bentoml.models.delete(second.tag)


def test_processes_that_start_anew_serve_what_was_reloaded(service: Service) -> None:
    """Also without the version that the service was started with, and no other is loaded."""
    (first,), second = service.tags, save_version().tag
    service.reload()
    before = pixels_of(service.edit().json())
    bentoml.models.delete(first)
    assert pixels_after_kills(service, PROCESSES) == before
    assert service.tags == [second]
    assert service.loaded == {second}


def test_a_second_reload_frees_what_the_first_one_left(service: Service) -> None:
    """The API that was to do so ended before."""
    second = save_version().tag
    service.reload()
    pixels_after_kills(service, ["edit_service"])
    assert service.reload().json() == {"served": [second], "added": [], "retired": []}
    seconds_until(lambda: service.loaded == {second})


def test_a_model_that_is_gone_is_named(service: Service) -> None:
    before = pixels_of(service.edit().json())
    for stored in bentoml.models.list(f"gradctrl-{NAME}"):
        bentoml.models.delete(stored.tag)
    refused = service.reload()
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_model")
    assert pixels_of(service.edit().json()) == before
    third = save_version().tag
    answer = service.reload()
    assert answer.status_code == 200, answer.text
    assert answer.json()["served"] == [third]
