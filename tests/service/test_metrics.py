"""The series of the service, as a real Prometheus has them after real traffic."""

import calendar
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import grpc
import httpx
import pytest
import yaml

from model_store import StoredModel
from service.wire import edit_pb2 as wire
from service.wire.edit_pb2_grpc import EditServiceStub
from tests.pods import running_cluster, seconds_until
from tests.servers import free_port, runner_of, running_server

EDIT = {
    "model": "tiny-style",
    "source": {"seed": 1},
    "edits": [{"attribute": "hair", "target": "blond", "steps": 8}],
}
CLASSES = {"hair": ("black", "brown", "blond"), "smile": ("not_smiling", "smiling")}
OUTCOMES = {"reached", "not_reached", "deadline_exceeded", "cancelled", "overloaded"}
# design.md, but for GPUs (no NVML here) and inversion
DESIGNED = {
    "gradctrl_edits_total": {"model", "attribute", "method", "outcome"},
    "gradctrl_edit_seconds_count": {"model"},
    "gradctrl_trajectory_seconds_count": {"model"},
    "gradctrl_render_seconds_count": {"model"},
    "gradctrl_render_batch_size_count": {"model"},
    "gradctrl_frames_total": {"model"},
    "gradctrl_queue_depth": {"runner"},
    "gradctrl_in_flight": {"runner"},
    "gradctrl_model_info": {"model", "version", "family", "backend", "device", "provider"},
    "gradctrl_rejected_total": {"code"},
}
TARGET_LABELS = {"__name__", "instance", "job"}


class Prometheus:
    """A running Prometheus; queries answer (labels, value) pairs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        answer = httpx.get(f"{self._url}/api/v1/query", params={"query": query}, timeout=10)
        found = answer.raise_for_status().json()["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def value(self, query: str) -> float:
        """The only value; 0 where there is none."""
        found = self.ask(query)
        assert len(found) <= 1, found
        return found[0][1] if found else 0.0

    def wait_for_scrapes(self) -> None:
        """Return when every target was scraped after now."""
        now = time.time()

        def is_fresh() -> bool:
            answer = httpx.get(f"{self._url}/api/v1/targets", timeout=10).json()
            targets: list[dict[str, Any]] = answer["data"]["activeTargets"]
            return bool(targets) and all(self._seconds(one["lastScrape"]) > now for one in targets)

        seconds_until(is_fresh)
        down = self.ask("up == 0")
        assert not down, down

    @staticmethod
    def _seconds(stamp: str) -> float:
        found = re.match(r"(\d+-\d+-\d+T\d+:\d+:\d+)", stamp)
        assert found, stamp
        return float(calendar.timegm(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S")))


@contextmanager
def prometheus(folder: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the targets every second."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("needs Prometheus: apt-get install prometheus")
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": "gradctrl", "static_configs": [{"targets": list(targets)}]}
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    with (folder / "prometheus.txt").open("w") as output:
        process, url = _started([binary, f"--config.file={file}"], folder / "tsdb", output)
        try:
            yield Prometheus(url)
        finally:
            process.terminate()
            process.wait()


def _started(
    command: Sequence[str], data: Path, output: IO[str], attempts: int = 3
) -> tuple["subprocess.Popen[bytes]", str]:
    """A Prometheus that answers, and its URL; a port that was taken meanwhile is given up."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = [f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen([*command, *options], stdout=output, stderr=output)
    seconds_until(lambda: process.poll() is not None or _answers(f"{url}/-/ready"))
    if process.poll() is None:
        return process, url
    assert attempts > 1, "Prometheus ends at once; see prometheus.txt"
    return _started(command, data, output, attempts - 1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def send_traffic(url: str, grpc_address: str | None = None) -> None:
    """Eight edits, two of them equal; seeds; refusals; unknown paths; one edit over gRPC."""
    with httpx.Client(base_url=url, timeout=60) as client:
        for seed in (1, 2, 3, 4, 5, 6, 7, 1):
            answer = client.post("/v1/edit", json={**EDIT, "source": {"seed": seed}})
            assert answer.status_code == 200, answer.text
        client.post("/v1/generate", json={"model": "tiny-style", "seeds": [1, 2, 3]})
        client.post("/v1/edit", json={**EDIT, "model": "nobody"})
        client.post("/v1/edit", json={"model": "tiny-style"})
        for number in range(20):
            client.get(f"/v1/secret-{number}")
            edits = [{"attribute": f"made-up-{number}", "target": "x"}]
            client.post("/v1/edit", json={**EDIT, "edits": edits})
    if grpc_address is not None:
        with grpc.insecure_channel(grpc_address) as channel:
            edit = wire.AttributeEdit(attribute="hair", target="blond", steps=2)
            request = wire.EditRequest(model="tiny-style", edits=[edit])
            request.source.seed = 11
            EditServiceStub(channel).Edit(request)  # type: ignore[no-untyped-call]


def expect_traffic(found: Prometheus, edits: int) -> None:
    """The series say what `send_traffic` did, where `edits` were worked on."""
    assert found.value("sum(gradctrl_edits_total)") == edits
    assert found.value("sum(gradctrl_edit_seconds_count)") == edits
    assert found.value("sum(gradctrl_trajectory_seconds_count)") == edits
    assert found.value("sum(gradctrl_render_seconds_count)") == edits
    assert found.value('gradctrl_rejected_total{code="unknown_model"}') == 1
    assert found.value('gradctrl_rejected_total{code="unknown_attribute"}') == 20
    assert found.value("sum(gradctrl_queue_depth)") == 0
    assert found.value("sum(gradctrl_in_flight)") == 0
    assert found.value("min(gradctrl_runners_available)") >= 1
    unknown = found.ask('bentoml_service_request_total{endpoint="/unknown"}')
    assert [value for _, value in unknown] == [20]


def expect_bounded_labels(found: Prometheus) -> None:
    """Every label value comes from a card, a route, or the code."""
    for name, labels in DESIGNED.items():
        series = found.ask(name)
        assert series, f"{name} has no series"
        for names, _ in series:
            assert set(names) - TARGET_LABELS == labels, name
    for names, _ in found.ask("gradctrl_edits_total"):
        assert names["attribute"] in CLASSES
        assert names["outcome"] in OUTCOMES
        assert (names["model"], names["method"]) == ("tiny-style", "gradctrl")
    every = found.ask('{__name__=~"(gradctrl|bentoml)_.*"}')
    values = {value for names, _ in every for value in names.values()}
    assert not [value for value in values if "made-up" in value or "secret" in value]
    assert not [value for value in values if "nobody" in value]


def test_a_process_tree_shows_the_series_of_all_its_processes(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    port = free_port()
    arguments = ("--models", "tiny-style", "--grpc-port", str(port))
    with (
        running_server(bentoml_home, tmp_path / "log.txt", *arguments) as url,
        prometheus(tmp_path, [url.removeprefix("http://")]) as found,
    ):
        send_traffic(url, f"127.0.0.1:{port}")
        found.wait_for_scrapes()
        expect_traffic(found, edits=8)  # seven of REST, for one was kept; one of gRPC
        assert found.value("gradctrl_frames_total") == 7 * 9 + 3 + 3
        assert found.value('gradctrl_cache_total{result="hit"}') == 1
        assert found.value('gradctrl_rpcs_total{method="Edit",status="OK"}') == 1
        expect_bounded_labels(found)
        before = len(found.ask('{__name__=~"(gradctrl|bentoml)_.*"}'))
        send_traffic(url)
        found.wait_for_scrapes()
        assert len(found.ask('{__name__=~"(gradctrl|bentoml)_.*"}')) == before


@pytest.mark.slow
def test_two_services_in_one_home_keep_their_own_series(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    def shown(url: str) -> list[str]:
        names = ("gradctrl_frames_total{", "gradctrl_model_info{", "gradctrl_runners_available{")
        lines = httpx.get(f"{url}/metrics", timeout=10).text.splitlines()
        return [line for line in lines if line.startswith(names)]

    log = tmp_path / "log.txt"
    with running_server(bentoml_home, log, "--models", "tiny-style") as url:
        assert httpx.post(f"{url}/v1/edit", json=EDIT, timeout=60).status_code == 200
        before = shown(url)
        assert len(before) == 1 + 1 + 2
        home = {"BENTOML_HOME": str(log.with_suffix(".home"))}
        other_log = tmp_path / "other.txt"
        with running_server(bentoml_home, other_log, "--models", "tiny-style", **home) as other:
            assert shown(url) == before
            assert len(shown(other)) == 1 + 2  # no frame yet
        assert shown(url) == before


@pytest.mark.slow
def test_separate_pods_show_their_own_series(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    with running_cluster(bentoml_home, tmp_path, GRADCTRL_MODELS="tiny-style") as cluster:
        targets = [f"127.0.0.1:{pod.metrics_port or pod.port}" for pod in cluster.pods]
        with prometheus(tmp_path, targets) as found:
            send_traffic(cluster.api.url)
            found.wait_for_scrapes()
            expect_traffic(found, edits=7)
            assert found.value("sum(gradctrl_frames_total)") == 7 * 9 + 3
            assert len(found.ask("gradctrl_frames_total")) == 2  # one of each generator
            assert len(found.ask("gradctrl_model_info")) == 2
            assert found.value('gradctrl_runners_available{runner="generator"}') == 2
            expect_bounded_labels(found)


@pytest.mark.slow
def test_two_workers_of_the_api_add_up(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    two = {"BENTOML_CONFIG_OPTIONS": "services.edit_service.workers=2"}
    log = tmp_path / "log.txt"
    with running_server(bentoml_home, log, "--models", "tiny-style", **two) as url:

        def edit(seed: int) -> int:
            answer = httpx.post(f"{url}/v1/edit", json={**EDIT, "source": {"seed": seed}})
            return answer.status_code

        with ThreadPoolExecutor(8) as clients:
            assert set(clients.map(edit, range(60))) == {200}
        with prometheus(tmp_path, [url.removeprefix("http://")]) as found:
            found.wait_for_scrapes()
            assert found.value("sum(gradctrl_edits_total)") == 60
            assert found.value('sum(bentoml_service_request_total{endpoint="/v1/edit"})') == 60
            assert found.value('gradctrl_runners_available{runner="generator"}') == 1
            assert found.value("sum(gradctrl_in_flight)") == 0
    # One line per worker says that it began.
    assert log.read_text().count("Service edit_service initialized") == 2


@pytest.mark.slow
def test_a_killed_runner_leaves_nothing_in_flight(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    long = [{"attribute": "hair", "target": "blond", "steps": 60, "step_size": 0.001}] * 8
    with (
        running_server(bentoml_home, tmp_path / "log.txt", "--models", "tiny-style") as url,
        ThreadPoolExecutor(8) as clients,
    ):
        bodies = [{**EDIT, "edits": long, "source": {"seed": seed}} for seed in range(24)]
        answers = [
            clients.submit(httpx.post, f"{url}/v1/edit", json=one, timeout=60) for one in bodies
        ]
        in_flight = re.compile(r'^gradctrl_in_flight\{runner="generator"\} ([1-9]\S*)', re.M)
        seconds_until(lambda: in_flight.search(httpx.get(f"{url}/metrics").text) is not None)
        runner_of(url, "generator_runner").kill()
        assert {answer.result().status_code for answer in answers} <= {200, 503}
        assert in_flight.search(httpx.get(f"{url}/metrics").text) is None
