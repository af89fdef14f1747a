"""The two ways to run the service, as something whose runners can be killed.

Pods are started again from here, as a kubelet would; in one process tree BentoML does it.
"""

import re
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import httpx
import psutil

from tests.pods import Cluster, Pod, running_cluster
from tests.servers import running_server, server_of

GENERATORS = 2
_AVAILABLE = re.compile(r'^gradctrl_runners_available\{.*runner="(\w+)".*\} (\S+)', re.M)


class Layout(Protocol):
    """A running service."""

    url: str

    @property
    def runners(self) -> Sequence[str]:
        """Names of their processes; what is before the dash is the runner's kind."""

    def kill(self, runner: str) -> None:
        """End a runner's process with SIGKILL and have another one start."""

    def is_back(self, runner: str) -> bool:
        """Whether the new process of a runner is there: ready in a pod, begun in a tree."""

    def api_mb(self) -> float:
        """Resident memory of the API's process."""


class Pods:
    """API, classifier and generators as processes of their own."""

    def __init__(self, cluster: Cluster) -> None:
        self.url = cluster.api.url
        self._api = cluster.api
        self._pods: dict[str, Pod] = {"classifier-0": cluster.classifier}
        for number, pod in enumerate(cluster.generators):
            self._pods[f"generator-{number}"] = pod
        self.runners: Sequence[str] = tuple(self._pods)

    def kill(self, runner: str) -> None:
        """End the pod and start it again."""
        self._pods[runner].kill()
        self._pods[runner].start()

    def is_back(self, runner: str) -> bool:
        """Whether the pod says that it is ready."""
        return is_ready(self._pods[runner].url)

    def api_mb(self) -> float:
        """Resident memory of the API's pod."""
        assert self._api.process is not None
        return _resident_mb(psutil.Process(self._api.process.pid))


class Tree:
    """`python -m service`: BentoML starts what was killed."""

    runners: Sequence[str] = ("classifier-0", "generator-0")

    def __init__(self, url: str) -> None:
        self.url = url
        self._server = server_of(url)
        self._killed: dict[str, int] = {}

    def kill(self, runner: str) -> None:
        """End the runner's process; its parent notices."""
        process = self._find(runner)
        assert process is not None, f"no {runner} in the process tree"
        self._killed[runner] = process.pid
        process.send_signal(signal.SIGKILL)

    def is_back(self, runner: str) -> bool:
        """Whether there is another process, and the API finds it ready."""
        process = self._find(runner)
        return process is not None and process.pid != self._killed[runner] and is_ready(self.url)

    def api_mb(self) -> float:
        """Resident memory of the API's process."""
        process = self._find("edit-0")
        assert process is not None
        return _resident_mb(process)

    def _find(self, runner: str) -> psutil.Process | None:
        name = f"{runner.partition('-')[0]}_{'service' if runner == 'edit-0' else 'runner'}"
        for child in self._server.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if name in child.cmdline():
                    return child
        return None


def is_ready(url: str) -> bool:
    """Whether a process says that it is ready; one that is starting says nothing."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def available(url: str) -> dict[str, int]:
    """How many processes of each runner the API can ask, as it sees them."""
    text = httpx.get(f"{url}/metrics", timeout=10).text
    return {name: int(float(value)) for name, value in _AVAILABLE.findall(text)}


@contextmanager
def running_pods(home: Path, folder: Path, **environment: str) -> Iterator[Layout]:
    """One classifier and two generators."""
    with running_cluster(home, folder, GENERATORS, **environment) as cluster:
        yield Pods(cluster)


@contextmanager
def running_tree(home: Path, folder: Path, **environment: str) -> Iterator[Layout]:
    """One of each, with the API, in one tree."""
    with running_server(home, folder / "log.txt", **environment) as url:
        yield Tree(url)


@contextmanager
def running_layout(name: str, home: Path, **environment: str) -> Iterator[Layout]:
    """A layout by its name, in a folder of its own."""
    start = {"pods": running_pods, "tree": running_tree}[name]
    with (
        tempfile.TemporaryDirectory() as folder,
        start(home, Path(folder), **environment) as layout,
    ):
        yield layout


def _resident_mb(process: psutil.Process) -> float:
    tree = [process, *process.children(recursive=True)]
    return sum(float(one.memory_info().rss) for one in tree) / 1e6
