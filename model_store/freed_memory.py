"""Lets a process keep the memory that it frees, for the next batch of images.

Synthesis takes and frees the same megabytes for every batch. glibc hands them back to the kernel,
which gives them out again zeroed, a page at a time. Knows nothing about tensors.
"""

import ctypes
import sys
from collections.abc import Mapping

# Parameters of mallopt(3), of glibc's malloc.h; numbers are its own.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_NEVER = 2**31 - 1  # bytes, the largest that mallopt takes
_PAD = 64 * 2**20  # bytes by which the heap grows at least


def keep_freed_memory() -> bool:
    """Whether the C library does it from now on: glibc on Linux does, for the whole process.

    Its resident memory then stays at the most that it needed at once. Heaps that threads have got
    by now give back all that is larger than 64 MB even so: see `share_one_heap`.
    """
    kept = _tell_malloc({_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _TOP_PAD: _PAD})
    return share_one_heap() and kept


def share_one_heap() -> bool:
    """Whether threads that take memory for the first time share the heap of the process (glibc).

    For all of them only if nothing else has begun a thread yet.
    """
    return _tell_malloc({_ARENA_MAX: 1})


def _tell_malloc(settings: Mapping[int, int]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return all([mallopt(parameter, value) == 1 for parameter, value in settings.items()])
