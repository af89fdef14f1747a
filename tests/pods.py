"""The pods of deploy/kubernetes as processes of this machine: same arguments, loopback addresses.

The entry point of BentoML's image puts `python -m bentoml_cli._internal.start` before the
arguments and the path of the Bento after them; here the sources stand for the Bento.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from tests.servers import ROOT, free_port, own_home, wait_until_ready

MANIFESTS = ROOT / "deploy" / "kubernetes" / "base"
MODULE = ["-m", "bentoml_cli._internal.start"]
BENTO = ["service.app:EditService", "--working-dir", str(ROOT)]


@dataclass
class Pod:
    """A process tree that stands for a pod; it can die and come back on its address."""

    component: str
    port: int
    metrics_port: int
    home: Path
    log: Path
    command: list[str]
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where its API or its runner listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; `wait` says when it is ready."""
        with self.log.open("a") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=os.environ | self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when it is ready."""
        assert self.process is not None
        wait_until_ready(self.process, self.url, self.log)

    def signal(self, number: int) -> None:
        """Send a signal to all its processes; BentoML's workers have sessions of their own."""
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            for process in [first, *first.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a lost node does."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self) -> None:
        """End it as Kubernetes does."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def metrics(self) -> str:
        """What Prometheus reads of it."""
        port = self.metrics_port or self.port
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text


def container(component: str) -> dict[str, Any]:
    """The container of a component as the manifest has it."""
    documents = yaml.safe_load_all((MANIFESTS / f"{component}.yaml").read_text())
    deployment = next(one for one in documents if one["kind"] == "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


def make_pod(
    component: str,
    home: Path,
    folder: Path,
    environment: dict[str, str],
    depends: dict[str, str] | None = None,
    name: str = "",
) -> Pod:
    """A pod of a component on free ports; `depends` are the addresses of its runners."""
    log = folder / f"{name or component}.txt"
    port, metrics_port = free_port(), free_port() if component != "api" else 0
    command = [sys.executable, *MODULE, *loopback_arguments(component, port, depends or {}), *BENTO]
    env = {"BENTOML_HOME": str(own_home(home, log)), "BENTOML_DO_NOT_TRACK": "True"}
    env |= {"BENTOML_CONTAINERIZED": "true", "OMP_NUM_THREADS": "1"}
    env |= {"GRADCTRL_GRPC_PORT": "0", "GRADCTRL_METRICS_PORT": str(metrics_port), **environment}
    return Pod(component, port, metrics_port, home, log, command, env)


def loopback_arguments(component: str, port: int, depends: dict[str, str]) -> list[str]:
    """The arguments of a component's container, on this machine."""
    arguments = list(container(component)["args"])
    arguments[arguments.index("--host") + 1] = "127.0.0.1"
    arguments[arguments.index("--port") + 1] = str(port)
    for index, argument in enumerate(arguments):
        runner = argument.partition("=")[0]
        if runner in depends:
            arguments[index] = f"{runner}={depends[runner]}"
    return arguments


@dataclass
class Cluster:
    """An API with its runners."""

    api: Pod
    classifier: Pod
    generators: Sequence[Pod]

    @property
    def pods(self) -> list[Pod]:
        """All of them, runners first."""
        return [self.classifier, *self.generators, self.api]


@contextmanager
def running_cluster(
    home: Path, folder: Path, generators: int = 2, **environment: str
) -> Iterator[Cluster]:
    """An API, a classifier and some generators, ready; stopped on leaving."""
    runners = [
        make_pod("generator", home, folder, environment, name=f"generator-{number}")
        for number in range(generators)
    ]
    classifier = make_pod("classifier", home, folder, environment)
    depends = {
        "classifier_runner": classifier.url,
        "generator_runner": ",".join(runner.url for runner in runners),
    }
    api = make_pod("api", home, folder, environment, depends)
    cluster = Cluster(api, classifier, runners)
    try:
        for pod in cluster.pods:
            pod.start()
        for pod in cluster.pods:
            pod.wait()
        yield cluster
    finally:
        for pod in reversed(cluster.pods):
            pod.stop()


def seconds_until(is_so: Any, at_most_s: float = 60) -> float:
    """How long it takes until a claim holds; an AssertionError when it never does."""
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < at_most_s, f"not within {at_most_s} s"
        time.sleep(0.02)
    return time.monotonic() - started
