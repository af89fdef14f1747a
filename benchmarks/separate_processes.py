"""What a dying generator costs: an API, a classifier and two generators as separate processes.

Under the load of some clients a generator is killed and started again, some rounds; then one hangs
(SIGSTOP); then both are gone. Says what failed, how long answers took, how soon it is noticed.

    python -m benchmarks.separate_processes --home BENTOML_HOME [--rounds 5]
"""

import argparse
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from tests.pods import Cluster, Pod, running_cluster, seconds_until

CLIENTS = 8
MODEL = "avatars"
EDIT = {"attribute": "smile", "target": "smiling", "steps": 8}


class Load:
    """Clients that edit until they are told to stop; what they got, and when."""

    def __init__(self, url: str) -> None:
        self._url, self._stop = url, threading.Event()
        self.answers: list[tuple[float, float, str]] = []  # ended, seconds, outcome
        self._pool = ThreadPoolExecutor(CLIENTS)

    def __enter__(self) -> "Load":
        self._clients = [self._pool.submit(self._send, number) for number in range(CLIENTS)]
        return self

    def _send(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=90) as client:
            while not self._stop.is_set():
                seed = number * 1_000_000 + len(self.answers)
                began = time.monotonic()
                answer = client.post("/v1/edit", json={"source": {"seed": seed}, "edits": [EDIT]})
                code = "ok" if answer.status_code == 200 else answer.json()["error"]["code"]
                self.answers.append((time.monotonic(), time.monotonic() - began, code))

    def since(self, when: float) -> tuple[Counter[str], np.ndarray]:
        """Outcomes and seconds of the answers after a time."""
        some = [one for one in self.answers if one[0] >= when]
        return Counter(code for _, _, code in some), np.array([seconds for _, seconds, _ in some])

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()


def frames(pod: Pod) -> float:
    """Frames that a generator has rendered."""
    lines = [one for one in pod.metrics().splitlines() if one.startswith("gradctrl_frames_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def is_ready(cluster: Cluster) -> bool:
    """What /readyz of the API says."""
    return httpx.get(f"{cluster.api.url}/readyz", timeout=10).status_code == httpx.codes.OK


def shown(label: str, outcomes: Counter[str], seconds: np.ndarray) -> None:
    """A line of the report."""
    p50, p99 = np.percentile(seconds, [50, 99])
    print(f"{label}: {dict(outcomes)}, p50 {p50:.2f} s, p99 {p99:.2f} s, max {seconds.max():.2f} s")


def kill_and_restart(cluster: Cluster, rounds: int) -> None:
    """A generator dies under load and comes back, in turns."""
    back: list[float] = []
    with Load(cluster.api.url) as load:
        time.sleep(10)
        shown("both generators", *load.since(0))
        print("frames of each:", [frames(pod) for pod in cluster.generators])
        began = time.monotonic()
        for number in range(rounds):
            pod = cluster.generators[number % 2]
            pod.kill()
            time.sleep(5)
            pod.start()
            started = time.monotonic()
            pod.wait()
            ready = time.monotonic()
            seconds_until(lambda pod=pod: frames(pod) > 0)
            back.append(time.monotonic() - ready)
            print(f"  ready {ready - started:.1f} s after its start, used {back[-1]:.2f} s later")
            time.sleep(3)
        shown(f"{rounds} kills", *load.since(began))
    print(
        f"used again after it was ready: median {statistics.median(back):.2f}, max {max(back):.2f}"
    )


def hang(cluster: Cluster) -> None:
    """A generator stops answering without dying."""
    pod = cluster.generators[0]
    with Load(cluster.api.url) as load:
        time.sleep(5)
        began = time.monotonic()
        pod.signal(signal.SIGSTOP)
        noticed = seconds_until(lambda: 'generator"} 1.0' in cluster.api.metrics())
        time.sleep(5)
        pod.signal(signal.SIGCONT)
        again = seconds_until(lambda: 'generator"} 2.0' in cluster.api.metrics())
        shown("one hangs", *load.since(began))
    print(f"noticed after {noticed:.1f} s; back {again:.1f} s after it went on")


def none_left(cluster: Cluster) -> None:
    """Both generators are gone."""
    for pod in cluster.generators:
        pod.kill()
    noticed = seconds_until(lambda: not is_ready(cluster))
    times = []
    for _ in range(50):
        began = time.monotonic()
        assert not is_ready(cluster)
        times.append(time.monotonic() - began)
    p50, p99 = np.percentile(times, [50, 99])
    print(f"/readyz refuses {noticed:.2f} s after the last one died")
    print(f"its answer takes p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms")
    for pod in cluster.generators:
        pod.start()
    for pod in cluster.generators:
        pod.wait()
    print(f"ready again {seconds_until(lambda: is_ready(cluster)):.2f} s after both are")


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="BENTOML_HOME with avatars")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_cluster(options.home, Path(folder), GRADCTRL_MODELS=MODEL) as cluster,
    ):
        kill_and_restart(cluster, options.rounds)
        hang(cluster)
        none_left(cluster)


if __name__ == "__main__":
    main()
