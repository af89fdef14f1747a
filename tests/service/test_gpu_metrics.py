"""service/gpu_metrics.py: GPUs that tell everything, a part, or nothing."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from prometheus_client import REGISTRY

from service import gpu_metrics

GIB = 2**30


def handle_of(index: int) -> int:
    if index == 2:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
    return index


def use_of(gpu: int) -> SimpleNamespace:
    if gpu == 1:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return SimpleNamespace(gpu=25)


# A machine with a whole GPU, a slice of one, and one that is lost.
NVML: dict[str, Callable[..., Any]] = {
    "nvmlInit": lambda: None,
    "nvmlDeviceGetCount": lambda: 3,
    "nvmlDeviceGetHandleByIndex": handle_of,
    "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(used=(gpu + 1) * GIB),
    "nvmlDeviceGetUtilizationRates": use_of,
}


def test_a_gpu_that_does_not_tell_a_figure_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, answer in NVML.items():
        monkeypatch.setattr(pynvml, name, answer)
    whole, part, lost = gpu_metrics.read_gpus()
    assert whole == gpu_metrics.GpuReading("cuda:0", GIB, 0.25)
    assert (part.device, part.memory_bytes) == ("cuda:1", 2 * GIB)
    assert math.isnan(part.utilization_ratio)
    assert math.isnan(lost.memory_bytes)
    assert gpu_metrics.watch_gpus()
    labels = {"device": "cuda:0"}
    assert REGISTRY.get_sample_value("gradctrl_gpu_utilization_ratio", labels) == 0.25


def test_a_machine_without_a_driver_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_driver)
    assert not gpu_metrics.watch_gpus()
