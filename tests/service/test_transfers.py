"""service/transfers.py: what is fetched is what was made, and the CPU copies nothing."""

import numpy as np
import pytest
import torch

from service.backends import Backend
from service.settings import Settings
from service.transfers import CudaTransfers, DirectTransfers

CPU = torch.device("cpu")


def test_the_cpu_copies_nothing() -> None:
    direct, rows = DirectTransfers(), torch.arange(6).reshape(2, 3)
    there = direct.send(rows, CPU)
    assert there.data_ptr() == rows.data_ptr()
    found = direct.fetch(there)()
    assert np.shares_memory(found, rows.numpy())


@pytest.mark.parametrize("backend", ["torch", "torch-compile", "onnx"])
def test_only_cuda_has_ways_of_its_own(backend: str) -> None:
    config = Settings(backend=backend, device="cpu")
    assert isinstance(Backend.of(config).transfers(), DirectTransfers)


def test_onnx_on_the_cpu_beside_a_gpu_copies_nothing() -> None:
    config = Settings(backend="onnx", device="cuda", onnx_provider="cpu")
    assert isinstance(Backend.of(config).transfers(), DirectTransfers)


@pytest.mark.gpu  # never run yet: there was no device
def test_cuda_fetches_what_was_made() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    transfers = CudaTransfers(device)
    rows = [torch.full((4, 64, 64, 3), n, dtype=torch.uint8) for n in range(50)]
    arrivals = [transfers.fetch(transfers.send(one, device) + 1) for one in rows]
    for one, arrive in zip(rows, arrivals, strict=True):
        np.testing.assert_array_equal(arrive(), one.numpy() + 1)
