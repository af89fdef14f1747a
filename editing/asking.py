"""What the host may ask of a tensor without waiting for a device.

On the CPU an answer is at hand and saves work: a pass that is not needed, an early end. On a device
it stalls the host until all queued work is done, and neither a CUDA graph nor a compiled function
can hold a question at all. This is the one place that tells the two apart: whoever asks here is
right without an answer too, only slower. Numbers of Python are no tensors to torch.where: it would
copy them to the device, which a graph cannot hold; `new_zeros(())` is one that is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_IS_SILENT = ContextVar("_IS_SILENT", default=False)


@contextmanager
def without_asking() -> Iterator[None]:
    """A block in which the CPU is not asked either: the same operations, whatever the numbers."""
    before = _IS_SILENT.set(True)
    try:
        yield
    finally:
        _IS_SILENT.reset(before)


def may_ask(tensor: Tensor) -> bool:
    """Whether reading a tensor on the host waits for nothing."""
    if torch.compiler.is_compiling() or not tensor.is_cpu:  # in this order: the compiler reads on
        return False
    return not _IS_SILENT.get()


def knows_all(claims: Tensor) -> bool:
    """Whether every claim is known to hold; False where nobody may ask."""
    return may_ask(claims) and bool(claims.all())


def knows_none(claims: Tensor) -> bool:
    """Whether no claim is known to hold; False where nobody may ask."""
    return may_ask(claims) and not bool(claims.any())
