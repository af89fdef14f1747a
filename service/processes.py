"""Settles a freshly loaded process: threads, device, garbage collector."""

import gc

import torch

from service.settings import Settings


def choose_device(settings: Settings) -> torch.device:
    """The torch device of the settings; auto is CUDA where there is one."""
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(settings.device)


def settle_garbage_collector() -> None:
    """Move everything loaded so far out of the collector's sight.

    BentoML keeps request objects until its timeout, and full collections then take 180-330 ms;
    freezing cut the p99 from 272 to 7 ms (docs/decisions.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
