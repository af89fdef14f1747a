"""Settles a freshly loaded process: threads, device, garbage collector; tells the living."""

import gc
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from service.settings import Settings

DEFAULT_BATCH_SIZE = 9
GPU_BATCH_SIZE = 16
Found = TypeVar("Found")


def choose_device(settings: Settings) -> torch.device:
    """The torch device of the settings; auto is CUDA where there is one."""
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(settings.device)


def batch_size_of(settings: Settings, device: torch.device) -> int:
    """Frames of one synthesis, latents of one walk on a GPU.

    Nine are the frames of an edit of eight steps, which is then one batch: 24 ms for `avatars` on
    a CPU, against 38 in batches of four that are filled up.
    """
    if settings.max_batch_size is not None:
        return settings.max_batch_size
    return DEFAULT_BATCH_SIZE if device.type == "cpu" else GPU_BATCH_SIZE


def take_one_torch_thread() -> None:
    """Give this thread one torch thread: operations here are small, or beside a synthesis."""
    torch.set_num_threads(1)


def in_passing_thread(work: Callable[[], Found], torch_threads: int) -> Found:
    """What `work` gives, by so many torch threads in a thread that ends with it.

    OpenMP keeps a team of threads for every thread that ever used several. With more of them than
    cores it puts all to sleep between two operations: nine frames of `avatars` then take 15 ms, not
    10. So the thread that renders is to have the only team.
    """
    with ThreadPoolExecutor(1, initializer=lambda: torch.set_num_threads(torch_threads)) as passing:
        return passing.submit(work).result()


def settle_garbage_collector() -> None:
    """Move everything loaded so far out of the collector's sight.

    While requests were kept for ten minutes (service/request_timers.py) full collections took 180
    to 330 ms; freezing cut the p99 from 272 to 7 ms (docs/decisions.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, of any user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
