"""Prometheus series of the service, prefix gradctrl_.

BentoML sets PROMETHEUS_MULTIPROC_DIR before it imports the services, so that the series of all
processes appear on /metrics of the API. Labels come from model cards: clients create no series.
"""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

EDITS = Counter(
    "gradctrl_edits_total",
    "Edits by outcome: reached, not_reached, unread (styles moved), cancelled or an error code",
    ["model", "attribute", "method", "outcome"],
)
EDIT_SECONDS = Histogram(
    "gradctrl_edit_seconds",
    "Work on an admitted edit as the API sees it, without the time of its reader, seconds",
    ["model"],
    buckets=_SECONDS,
)
TRAJECTORY_SECONDS = Histogram(
    "gradctrl_trajectory_seconds", "Walk as the API sees it, seconds", ["model"], buckets=_SECONDS
)
RENDER_SECONDS = Histogram(
    "gradctrl_render_seconds", "Rendering as the API sees it, seconds", ["model"], buckets=_SECONDS
)
INVERSION_SECONDS = Histogram(
    "gradctrl_inversion_seconds",
    "Inversion of an image as the API sees it, seconds",
    ["model", "mode"],
    buckets=_SECONDS,
)
RENDER_BATCH_SIZE = Histogram(
    "gradctrl_render_batch_size", "Frames rendered together", ["model"], buckets=_BATCHES
)
FRAMES = Counter("gradctrl_frames_total", "Frames rendered", ["model"])
QUEUE_DEPTH = Gauge(
    "gradctrl_queue_depth",
    "Frames or latents waiting in a runner",
    ["runner"],
    multiprocess_mode="livesum",
)
IN_FLIGHT = Gauge(
    "gradctrl_in_flight",
    "Calls that a runner has accepted and not answered",
    ["runner"],
    multiprocess_mode="livesum",
)
MODEL_INFO = Gauge(
    "gradctrl_model_info",
    "1: loaded, and where it runs; 0: retired by a reload",
    ["model", "version", "family", "backend", "device", "provider"],
    multiprocess_mode="livemax",
)
REJECTED = Counter("gradctrl_rejected_total", "Requests refused, by error code", ["code"])
CANCELLED = Counter(
    "gradctrl_cancelled_total",
    "Calls that a runner dropped: their request was cancelled, or its deadline passed",
    ["runner", "reason"],
)
CACHE = Counter("gradctrl_cache_total", "Deterministic requests looked up, hit or miss", ["result"])
CACHE_BYTES = Gauge("gradctrl_cache_bytes", "Bytes of kept answers", multiprocess_mode="livesum")
JOBS = Counter("gradctrl_jobs_total", "Jobs by kind and how they ended", ["kind", "state"])
JOBS_QUEUED = Gauge(
    "gradctrl_jobs_queued", "Jobs that wait for a worker", multiprocess_mode="livesum"
)
GPU_MEMORY = Gauge(
    "gradctrl_gpu_memory_bytes",
    "Memory in use on a GPU, all processes",
    ["device"],
    multiprocess_mode="livemax",
)
GPU_UTILIZATION = Gauge(
    "gradctrl_gpu_utilization_ratio",
    "Share of the time that a GPU was busy, 0 to 1",
    ["device"],
    multiprocess_mode="livemax",
)
RUNNERS_AVAILABLE = Gauge(
    "gradctrl_runners_available",
    "Processes of a runner that answer, as an API process sees them",
    ["runner"],
    multiprocess_mode="livemin",
)
RUNNER_RETRIES = Counter(
    "gradctrl_runner_retries_total",
    "Calls asked again because a runner's process refused them or went away",
    ["runner"],
)
RPCS = Counter("gradctrl_rpcs_total", "gRPC calls by method and status", ["method", "status"])
RPC_SECONDS = Histogram(
    "gradctrl_rpc_seconds", "Whole gRPC call, seconds", ["method"], buckets=_SECONDS
)


def begin_series(codes: Iterable[str]) -> None:
    """Make series that would begin with their first event: a rate does not see that one."""
    for code in codes:
        REJECTED.labels(code)
    for result in ("hit", "miss"):
        CACHE.labels(result)
