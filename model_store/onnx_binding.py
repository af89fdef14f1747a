"""Runs an ONNX Runtime session on torch's memory: tensors in, tensors out, on whatever device.

Knows no network.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime
import torch
from torch import Tensor


def run_bound(
    session: onnxruntime.InferenceSession,
    given: Tensor,  # float32, contiguous; the only input
    shape: Sequence[int],  # of the only output
) -> Tensor:  # float32, where `given` is
    """The output, written by the session into the very tensor that comes back.

    A session on another device than `given` copies both itself.
    """
    found = torch.empty(tuple(shape), dtype=torch.float32, device=given.device)
    device, index = bound_device(given.device)
    binding = session.io_binding()
    (source,), (target,) = session.get_inputs(), session.get_outputs()
    for bind, name, tensor in (
        (binding.bind_input, source.name, given),
        (binding.bind_output, target.name, found),
    ):
        bind(name, device, index, np.float32, tuple(tensor.shape), tensor.data_ptr())
    if given.is_cuda:  # ONNX Runtime has a stream of its own, which does not wait for torch's
        torch.cuda.current_stream(given.device).synchronize()
    session.run_with_iobinding(binding)  # waits for the session's stream
    return found


def bound_device(device: torch.device) -> tuple[str, int]:
    """A torch device as ONNX Runtime names it."""
    return device.type, device.index or 0
