"""How latents reach the device and pixels leave it. Knows nothing about models or requests.

On the CPU there is no way to go. On CUDA both ways are copies of page-locked memory, which the host
does not wait for until it reads, and pixels leave on a stream of their own beside the next batch.
The CUDA half has never run.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

Arrival = Callable[[], np.ndarray]  # waits, then gives what was fetched


class Transfers(Protocol):
    """Both ways."""

    def send(self, rows: Tensor, device: torch.device) -> Tensor:
        """Rows of the host on the device."""
        ...

    def fetch(self, pixels: Tensor) -> Arrival:
        """A tensor of the device on its way to the host."""
        ...


class DirectTransfers:
    """Copies that the host waits for, of which the CPU needs none; satisfies Transfers."""

    def send(self, rows: Tensor, device: torch.device) -> Tensor:
        """Rows of the host on the device."""
        return rows.to(device)

    def fetch(self, pixels: Tensor) -> Arrival:
        """A tensor of the device, copied when it is asked for."""
        return lambda: pixels.cpu().numpy()


class CudaTransfers:
    """Copies beside the work of one CUDA device; satisfies Transfers.

    torch keeps page-locked memory for the next copy, and gives it to nobody before this one has
    ended.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._leaving = torch.cuda.Stream(device)

    def send(self, rows: Tensor, device: torch.device) -> Tensor:
        """Rows of the host on the device, before whatever is queued next."""
        return rows.pin_memory().to(device, non_blocking=True)

    def fetch(self, pixels: Tensor) -> Arrival:
        """A tensor of the device, copied once what makes it has run."""
        memory = torch.empty(pixels.shape, dtype=pixels.dtype, pin_memory=True)
        arrived = torch.cuda.Event()
        with torch.cuda.device(self._device):
            self._leaving.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._leaving):
                memory.copy_(pixels, non_blocking=True)
                arrived.record()
            pixels.record_stream(self._leaving)  # its memory is not free before the copy has ended

        def arrive() -> np.ndarray:
            arrived.synchronize()
            return memory.numpy()

        return arrive
