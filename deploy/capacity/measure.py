"""Measures what the simulator is fed with: seconds of a render, CPU of an edit, start of a pod.

Starts an API, a classifier and one generator as separate processes, with the arguments of the
manifests, and edits one after the other.

    python -m deploy.capacity.measure --home BENTOML_HOME [--edits 300]
"""

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.pods import Cluster, Pod, running_cluster

FILE = Path(__file__).with_name("service_times.json")
STEPS = 8
MODEL = "avatars"


def cpu_s(pod: Pod) -> float:
    """CPU seconds of all processes of a pod so far."""
    assert pod.process is not None
    first = psutil.Process(pod.process.pid)
    times = [one.cpu_times() for one in (first, *first.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def renders_ms(cluster: Cluster, edits: int) -> list[float]:
    """Milliseconds that the API waited for the generator, edit by edit."""
    found = []
    with httpx.Client(base_url=cluster.api.url, timeout=60) as client:
        for seed in range(edits):
            edit = {"attribute": "smile", "target": "smiling", "steps": STEPS, "stop": None}
            answer = client.post("/v1/edit", json={"source": {"seed": seed}, "edits": [edit]})
            found.append(answer.raise_for_status().json()["timings_ms"]["render"])
    return found


def start_s(pod: Pod) -> float:
    """Seconds from a new process until it is ready."""
    pod.kill()
    began = time.monotonic()
    pod.start()
    pod.wait()
    return time.monotonic() - began


def measure(home: Path, edits: int) -> dict[str, Any]:
    """The figures, with where they are from."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_cluster(home, Path(folder), generators=1, GRADCTRL_MODELS=MODEL) as cluster,
    ):
        renders_ms(cluster, 20)  # warm
        generator = cluster.generators[0]
        before, classifier_before = cpu_s(generator), cpu_s(cluster.classifier)
        renders = renders_ms(cluster, edits + 20)[20:]
        used = (cpu_s(generator) - before) / edits
        walked = (cpu_s(cluster.classifier) - classifier_before) / edits
        starts = [start_s(generator) for _ in range(3)]
    return {
        "what": f"{edits} edits of {MODEL}, {STEPS} steps, 9 frames PNG, one after the other",
        "machine": f"{psutil.cpu_count()} cores, {platform.machine()}, one torch thread",
        "load_average": psutil.getloadavg()[0],
        "render_ms": [round(one, 2) for one in renders],
        "generator_cpu_s_per_edit": round(used, 4),
        "classifier_cpu_s_per_edit": round(walked, 4),
        "generator_start_s": [round(one, 1) for one in starts],
    }


def main() -> None:
    """Write the figures beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="BENTOML_HOME with avatars")
    parser.add_argument("--edits", type=int, default=300)
    options = parser.parse_args()
    figures = measure(options.home, options.edits)
    FILE.write_text(json.dumps(figures, indent=1) + "\n")
    times = sorted(figures["render_ms"])
    print({**figures, "render_ms": f"median {times[len(times) // 2]}, p99 {times[-3]}"})


if __name__ == "__main__":
    main()
