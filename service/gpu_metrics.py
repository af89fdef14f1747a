"""Memory and use of the GPUs, where NVML answers. Knows nothing about torch or models."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pynvml

from service import metrics

EVERY_S = 5.0


@dataclass(frozen=True)
class GpuReading:
    """What one GPU says of itself."""

    device: str  # as torch names it
    memory_bytes: int
    utilization_ratio: float


ReadGpus = Callable[[], Sequence[GpuReading]]


def read_gpus() -> list[GpuReading]:
    """Every GPU that this process may see; none where there is no NVIDIA driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    readings = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        used = pynvml.nvmlDeviceGetMemoryInfo(handle).used
        busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
        readings.append(GpuReading(f"cuda:{index}", int(used), busy / 100))
    return readings


def watch_gpus(read: ReadGpus = read_gpus, every_s: float = EVERY_S) -> bool:
    """Keep the gauges current from a thread; False where there is nothing to watch."""
    if not _record(read):
        return False
    never = threading.Event()

    def watch() -> None:
        while not never.wait(every_s):
            _record(read)

    threading.Thread(target=watch, name="gpu-metrics", daemon=True).start()
    return True


def _record(read: ReadGpus) -> int:
    readings = read()
    for one in readings:
        metrics.GPU_MEMORY.labels(one.device).set(one.memory_bytes)
        metrics.GPU_UTILIZATION.labels(one.device).set(one.utilization_ratio)
    return len(readings)
