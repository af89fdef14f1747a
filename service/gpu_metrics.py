"""Memory and use of the GPUs, where NVML answers. Knows nothing about torch or models."""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml

from service import metrics

EVERY_S = 5.0


@dataclass(frozen=True)
class GpuReading:
    """What one GPU says of itself; NaN is what it does not say."""

    device: str  # numbered as nvidia-smi does; CUDA_VISIBLE_DEVICES changes nothing here
    memory_bytes: float
    utilization_ratio: float


ReadGpus = Callable[[], Sequence[GpuReading]]


def read_gpus() -> list[GpuReading]:
    """Every GPU of this machine or container; none where there is no NVIDIA driver."""
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError:
        return []
    return [
        GpuReading(
            f"cuda:{index}",
            _ask(index, lambda gpu: pynvml.nvmlDeviceGetMemoryInfo(gpu).used),
            _ask(index, lambda gpu: pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100),
        )
        for index in range(count)
    ]


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


def _ask(index: int, figure: Callable[[Any], float]) -> float:
    """A figure of a GPU by its handle; NaN where it has none (MIG), or went away."""
    try:
        return figure(pynvml.nvmlDeviceGetHandleByIndex(index))
    except pynvml.NVMLError:
        return math.nan


def _record(read: ReadGpus) -> int:
    readings = read()
    for one in readings:
        metrics.GPU_MEMORY.labels(one.device).set(one.memory_bytes)
        metrics.GPU_UTILIZATION.labels(one.device).set(one.utilization_ratio)
    return len(readings)
