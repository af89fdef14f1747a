"""A port that serves a runner's metrics and nothing else. Knows no series.

The port of a runner takes pickle, so in a cluster only the API may reach it; Prometheus reads here.
"""

import logging
from collections.abc import Iterable

from prometheus_client import Metric, start_http_server
from prometheus_client.registry import Collector

from service.metric_files import forget_dead_processes, tree_registry

logger = logging.getLogger("gradctrl.service")


class _Tree(Collector):
    """The series of the process tree, read anew for every scrape."""

    def collect(self) -> Iterable[Metric]:
        forget_dead_processes()
        yield from tree_registry().collect()


def serve_metrics(port: int, host: str) -> None:
    """Serve on a thread from now on; port 0 serves nothing."""
    if not port:
        return
    try:
        start_http_server(port, host, _Tree())
    except OSError as error:  # the other runner of the same machine has it: both are in its series
        logger.warning("metrics are not served on %s:%d: %s", host, port, error)
