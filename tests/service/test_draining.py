"""service/draining.py: SIGTERM under load on the real service, and holds of a runner."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from model_store import StoredModel
from service import draining
from service.draining import Holds
from tests.servers import runner_of, running_server, server_of
from tests.service.test_limits import BODY

CLIENTS = 8
GRACE_S = 25
RESTART_S = 60
IDLE_S = 2.0
Outcome = tuple[str, str]  # when it was sent, and how it ended


def edit(client: httpx.Client, seed: int) -> str:
    answer = client.post("/v1/edit", json={**BODY, "source": {"seed": seed}})
    if answer.status_code == 200:
        return "answered"
    return f"{answer.status_code} {answer.json()['error']['code']}"


def stream(client: httpx.Client, seed: int) -> str:
    body = {**BODY, "source": {"seed": seed}}
    with client.stream("POST", "/v1/edit/stream", json=body) as answer:
        text = "".join(answer.iter_text())
    if "event: summary" in text:
        return "answered"
    return f"{answer.status_code} {'overloaded' if 'overloaded' in text else text[-200:]}"


def send(
    url: str, number: int, told: threading.Event, work: Callable[[httpx.Client, int], str]
) -> list[Outcome]:
    """Outcomes of one client, which sends until the service is gone."""
    outcomes: list[Outcome] = []
    with httpx.Client(base_url=url, timeout=60) as client:
        while len(outcomes) < 10_000:
            when = "after" if told.is_set() else "before"
            try:
                outcomes.append((when, work(client, 1000 * number + len(outcomes))))
            except httpx.ConnectError:
                outcomes.append((when, "refused"))
                return outcomes
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                outcomes.append((when, "never read"))
    return outcomes


@pytest.mark.slow
def test_a_sigterm_under_load_answers_what_was_accepted(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    told = threading.Event()
    with (
        running_server(bentoml_home, tmp_path / "log.txt", "--models", "tiny-style") as url,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        server = server_of(url)
        loads = [
            clients.submit(send, url, number, told, stream if number % 2 else edit)
            for number in range(CLIENTS)
        ]
        time.sleep(3)
        server.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        told.set()
        outcomes = [outcome for load in loads for outcome in load.result()]
        server.wait(GRACE_S)
        assert time.monotonic() - sent < GRACE_S
    before = {how for when, how in outcomes if when == "before"}
    after = {how for when, how in outcomes if when == "after"}
    # A request that was under way when the signal came may be the first that is refused.
    assert before <= {"answered", "503 overloaded"}
    assert "answered" in before
    # What came between the last accept and the end of listening is reset by the kernel.
    assert after <= {"503 overloaded", "refused", "answered", "never read"}
    assert outcomes.count(("after", "never read")) <= CLIENTS
    assert "refused" in after


@pytest.mark.slow
def test_the_first_request_of_an_open_connection_is_answered(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    """Closed without a word, its client could not tell whether the request was heard."""
    with running_server(bentoml_home, tmp_path / "log.txt", "--models", "tiny") as url:
        address, server = httpx.URL(url), server_of(url)
        with socket.create_connection((address.host, address.port or 80)) as opened:
            time.sleep(0.2)  # it is accepted
            server.send_signal(signal.SIGTERM)
            time.sleep(1.0)
            opened.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            opened.settimeout(GRACE_S)
            assert opened.recv(12) == b"HTTP/1.1 503"
        server.wait(GRACE_S)


@pytest.mark.slow
def test_several_workers_of_the_api_all_end(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    """They share a listening socket, and only one of them can be the first to shut it down."""
    two = {"BENTOML_CONFIG_OPTIONS": "services.edit_service.workers=2"}
    log = tmp_path / "log.txt"
    with running_server(bentoml_home, log, "--models", "tiny", **two) as url:
        server = server_of(url)
        tree = [server, *server.children(recursive=True)]
        workers = [one for one in tree if "edit_service" in one.cmdline()]
        assert len(workers) == 2
        server.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(tree, timeout=GRACE_S)
        assert alive == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "workers"), [("generator_runner", 1), ("edit_service", 1), ("edit_service", 2)]
)
def test_a_worker_that_is_told_alone_leaves_its_successor_a_good_socket(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path, service: str, workers: int
) -> None:
    so_many = {"BENTOML_CONFIG_OPTIONS": f"services.{service}.workers={workers}"}
    log = tmp_path / "log.txt"
    with running_server(bentoml_home, log, "--models", "tiny-style", **so_many) as url:
        told = runner_of(url, service)
        told.send_signal(signal.SIGTERM)
        told.wait(GRACE_S)
        wait_until_served(url)
        after = workers_of(url, service)
        assert told not in after
        assert len(after) == workers
        deadline = time.monotonic() + RESTART_S
        while most_used(after) > IDLE_S / 4:  # on a broken socket one spins
            assert time.monotonic() < deadline


def most_used(processes: list[psutil.Process]) -> float:
    """Seconds of a core that the busiest uses within IDLE_S."""
    before = [cpu_s(one) for one in processes]
    time.sleep(IDLE_S)
    return max(cpu_s(one) - had for one, had in zip(processes, before, strict=True))


def workers_of(url: str, service: str) -> list[psutil.Process]:
    """The processes of a service in a tree."""
    tree = server_of(url).children(recursive=True)
    return [one for one in tree if service in one.cmdline()]


def wait_until_served(url: str) -> None:
    """Return when an edit is answered again."""
    deadline = time.monotonic() + RESTART_S
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.post(f"{url}/v1/edit", json=BODY, timeout=RESTART_S).is_success:
                return
        time.sleep(0.2)
    raise AssertionError(f"no edit within {RESTART_S} s")


def cpu_s(process: psutil.Process) -> float:
    """Seconds of a core that it has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def waits(holds: Holds) -> float:
    """Seconds until a runner that is told to stop goes."""
    started = time.monotonic()
    asyncio.run(holds.wait_until_free())
    return time.monotonic() - started


def test_a_held_runner_waits_for_its_holders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "QUIET_S", 0.2)
    alone, held, expired = (Holds(lambda: True, max_s=1) for _ in range(3))
    assert 0.2 <= waits(alone) < 0.9
    held.hold("api", 60)
    assert waits(held) >= 1
    held.hold("api", 0)
    assert waits(held) < 0.2
    expired.hold("api", 0.4)
    assert 0.4 <= waits(expired) < 0.9
    busy = Holds(lambda: False, max_s=0.5)
    assert waits(busy) >= 0.5
