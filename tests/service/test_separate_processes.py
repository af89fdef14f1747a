"""API, classifier and two generators as separate processes, with the pods' own arguments.

What benchmarks/separate_processes.py measures is held here without its times.
"""

import base64
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bentoml
import httpx
import pytest

from model_store import StoredModel, save_model
from tests.doubles import make_card, make_generator, make_heads
from tests.pods import Cluster, Pod, running_cluster, seconds_until
from tests.service.test_draining import GRACE_S, edit, send

CLIENTS = 8
ENOUGH = 120


def body(seed: int) -> dict[str, object]:
    return {
        "model": "tiny-style",
        "source": {"seed": seed},
        "edits": [{"attribute": "hair", "target": "blond", "steps": 8}],
    }


def outcome(client: httpx.Client, seed: int) -> str:
    answer = client.post("/v1/edit", json=body(seed))
    return "200" if answer.status_code == 200 else answer.json()["error"]["code"]


def frames_of(pod: Pod) -> float:
    return sum(map(float, re.findall(r"^gradctrl_frames_total\{.*\} (\S+)", pod.metrics(), re.M)))


def is_ready(cluster: Cluster) -> bool:
    return httpx.get(f"{cluster.api.url}/readyz", timeout=10).status_code == 200


class Load:
    """Clients that send until they are told to stop."""

    def __init__(self, url: str, first_seed: int) -> None:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._url, self._first = url, first_seed
        self.answered = 0

    def __enter__(self) -> "Load":
        self._clients = [self._pool.submit(self._send, number) for number in range(CLIENTS)]
        return self

    def _send(self, number: int) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._stop.is_set():
                seed = self._first + number * 100_000 + outcomes.total()
                outcomes[outcome(client, seed)] += 1
                self.answered += 1
        return outcomes

    def wait_for(self, answers: int) -> None:
        """Return after so many more answers."""
        goal = self.answered + answers
        seconds_until(lambda: self.answered >= goal, 120)

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        self.outcomes = sum((client.result() for client in self._clients), Counter[str]())


@pytest.fixture(scope="module")
def cluster(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("pods")
    with running_cluster(bentoml_home, folder, GRADCTRL_MODELS="tiny-style") as running:
        yield running


@pytest.mark.slow
def test_separate_processes_answer_the_same_bytes(cluster: Cluster, service_url: str) -> None:
    answers = [
        httpx.post(f"{url}/v1/edit", json=body(7), timeout=60).json()
        for url in (cluster.api.url, service_url)
    ]
    images = [
        [base64.b64decode(frame["image"]) for frame in answer["frames"]] for answer in answers
    ]
    assert images[0] == images[1]
    assert answers[0]["latent"] == answers[1]["latent"]


@pytest.mark.slow
def test_load_spreads_over_the_generators(cluster: Cluster) -> None:
    before = [frames_of(pod) for pod in cluster.generators]
    with Load(cluster.api.url, 1_000_000) as load:
        load.wait_for(ENOUGH)
    assert set(load.outcomes) == {"200"}
    shares = [frames_of(pod) - old for pod, old in zip(cluster.generators, before, strict=True)]
    assert sum(shares) == 9 * load.outcomes["200"]
    assert min(shares) > 0.3 * sum(shares)


@pytest.mark.slow
def test_a_generator_dies_under_load_and_comes_back(cluster: Cluster) -> None:
    first = cluster.generators[0]
    with Load(cluster.api.url, 2_000_000) as load:
        load.wait_for(ENOUGH // 4)
        first.kill()
        load.wait_for(ENOUGH)
        assert is_ready(cluster)
        first.start()
        first.wait()
        seconds_until(lambda: frames_of(first) > 0)
    assert set(load.outcomes) == {"200"}


@pytest.mark.slow
def test_a_generator_that_hangs_is_left(cluster: Cluster) -> None:
    first = cluster.generators[0]
    with Load(cluster.api.url, 3_000_000) as load:
        load.wait_for(ENOUGH // 4)
        first.signal(signal.SIGSTOP)
        try:
            seconds_until(lambda: 'generator"} 1.0' in cluster.api.metrics())
            load.wait_for(ENOUGH)
        finally:
            first.signal(signal.SIGCONT)
    assert set(load.outcomes) == {"200"}
    seconds_until(lambda: 'generator"} 2.0' in cluster.api.metrics())


@pytest.mark.slow
def test_without_any_generator_the_api_says_so(cluster: Cluster) -> None:
    for pod in cluster.generators:
        pod.kill()
    try:
        seconds_until(lambda: not is_ready(cluster))
        answer = httpx.post(f"{cluster.api.url}/v1/edit", json=body(9_000_000), timeout=60)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "overloaded"
        assert answer.headers["retry-after"] == "1"
        assert httpx.get(f"{cluster.api.url}/livez", timeout=10).status_code == 200
    finally:
        for pod in cluster.generators:
            pod.start()
            pod.wait()
    seconds_until(lambda: is_ready(cluster))


@pytest.mark.slow
def test_pods_that_start_anew_serve_the_newest(bentoml_home: Path, tmp_path: Path) -> None:
    """After a reload, and without the version that it retired."""
    name = "tiny-pods"
    first = save_model(make_generator(), make_card(name), make_heads())
    with running_cluster(bentoml_home, tmp_path, 1, GRADCTRL_MODELS=name) as cluster:
        edit = {**body(3), "model": name}
        url = f"{cluster.api.url}/v1"
        assert httpx.post(f"{url}/edit", json=edit, timeout=60).json()["model"] == first.tag
        second = save_model(make_generator(seed=1), make_card(name), make_heads())
        answer = httpx.post(f"{url}/admin/reload", timeout=60).json()
        assert answer == {"served": [second.tag], "added": [second.tag], "retired": [first.tag]}
        bentoml.models.delete(first.tag)
        for pod in cluster.pods:
            pod.kill()
        for pod in cluster.pods:
            pod.start()
        for pod in cluster.pods:
            pod.wait()
        assert httpx.post(f"{url}/edit", json=edit, timeout=60).json()["model"] == second.tag
        info = re.findall(r"^gradctrl_model_info\{.*", cluster.generators[0].metrics(), re.M)
        assert [second.tag.split(":")[1] in one for one in info] == [True]


@pytest.mark.slow
def test_a_metrics_port_serves_no_runner_methods(cluster: Cluster) -> None:
    pod = cluster.generators[0]
    answer = httpx.post(f"http://127.0.0.1:{pod.metrics_port}/render", content=b"pickle")
    assert answer.status_code == 405


@pytest.mark.slow
def test_the_api_alone_ends_with_its_accepted_work(cluster: Cluster) -> None:
    """SIGTERM to the API while its runners stay; test_draining.py has that of a whole tree."""
    told = threading.Event()
    api = cluster.api.process
    assert api is not None
    with ThreadPoolExecutor(CLIENTS) as clients:
        loads = [
            clients.submit(send, cluster.api.url, number, told, edit) for number in range(CLIENTS)
        ]
        time.sleep(3)
        api.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        told.set()
        outcomes = [outcome for load in loads for outcome in load.result()]
        api.wait(GRACE_S)
        assert time.monotonic() - sent < GRACE_S
    before = {how for when, how in outcomes if when == "before"}
    assert "answered" in before
    assert before <= {"answered", "503 overloaded"}
    assert {how for when, how in outcomes if when == "after"} <= {
        "answered",
        "503 overloaded",
        "refused",
        "never read",
    }
    assert outcomes.count(("after", "never read")) <= CLIENTS
    cluster.api.start()
    cluster.api.wait()
    answer = httpx.post(f"{cluster.api.url}/v1/edit", json=body(5), timeout=60)
    assert answer.status_code == 200
