"""Files in which the processes of a tree keep their series. Knows no series.

A gauge of calls in flight would count those of a killed process for ever: an autoscaler would never
scale down again.
"""

import os
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, multiprocess

from service.processes import is_alive

_LIVE_FILE = re.compile(r"gauge_live\w*_(\d+)\.db")


def forget_dead_processes() -> None:
    """Remove the live gauges of processes that are gone; counters stay."""
    folder = _folder()
    dead = {
        int(found[1])
        for path in folder.glob("gauge_live*.db")
        if (found := _LIVE_FILE.fullmatch(path.name)) and not is_alive(int(found[1]))
    }
    for pid in dead:
        multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def tree_registry() -> CollectorRegistry:
    """The series of all processes of this tree."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(_folder()))  # type: ignore[no-untyped-call]
    return registry


def _folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])  # where prometheus_client writes
