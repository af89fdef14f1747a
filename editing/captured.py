"""Walks as CUDA graphs: operations are recorded once and replayed with other numbers.

What is recorded depends on the heads, on the outline of the plan and on the number of samples,
which is filled up to a power of two. Knows nothing about requests. The part that needs CUDA,
CudaGraphRecorder, has never run.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from editing.asking import without_asking
from editing.courses import Course, course_of
from editing.errors import NoGraphsError
from editing.outlines import Outline, narrowed, outline_of
from editing.scoring import StackedHeads
from editing.trajectory import Trajectory, check_walk, follow
from editing.walk_plan import WalkPlan

_WARM_UPS = 3  # runs before a capture, in which libraries allocate what they need


@dataclass(frozen=True)
class Recording:
    """Operations that can be run again."""

    result: Trajectory  # where every replay leaves its numbers
    replay: Callable[[], None]


class Recorder(Protocol):
    """What records operations."""

    def record(self, run: Callable[[], Trajectory]) -> Recording:
        """The operations of `run`, which read and write the same memory at every replay."""
        ...


class CudaGraphRecorder:
    """Records CUDA graphs on one device; satisfies Recorder."""

    def __init__(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise NoGraphsError(
                f"CUDA graphs: expected a CUDA device, got {device}; leave them off"
            )
        self._device = device

    def record(self, run: Callable[[], Trajectory]) -> Recording:
        """The operations of `run`, captured on a stream of their own after it has warmed up."""
        with torch.cuda.device(self._device):
            side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    run()
            torch.cuda.current_stream().wait_stream(side)
            # other threads of a runner go on working: their calls must not end this capture
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                result = run()
        return Recording(result, graph.replay)


_Key = tuple[int, int, Outline]  # the heads, the number of samples, and what decides operations


@dataclass(frozen=True)
class _Tape:
    """A recording and the memory that it reads."""

    heads: StackedHeads  # held, so that their id stays theirs
    start: Tensor  # [N, C]
    course: Course
    recording: Recording

    def play(self, start: Tensor, plan: WalkPlan) -> Trajectory:
        """The recorded walk with other numbers; the next one overwrites it."""
        self.start.copy_(start, non_blocking=True)
        fresh = narrowed(plan, self.course.outline).tensors()
        for memory, numbers in zip(self.course.plan.tensors(), fresh, strict=True):
            memory.copy_(numbers, non_blocking=True)
        self.recording.replay()
        return self.recording.result


class CapturedWalk:
    """`walk` by recordings, of which the most lately used are kept.

    Every recording holds memory of the device for as long as it is kept. One walk at a time.
    """

    def __init__(self, recorder: Recorder, most: int) -> None:
        self._recorder = recorder
        self._most = most
        self._tapes: OrderedDict[_Key, _Tape] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, heads: StackedHeads, start: Tensor, plan: WalkPlan) -> Trajectory:
        """Paths of all samples from start [N, C]."""
        check_walk(heads, start, plan)
        samples = start.shape[0]
        rows = torch.arange(bucket_of(samples))
        rows[samples:] = 0  # copies of the first sample fill up: they may do whatever it does
        start, plan = start[rows.to(start.device)], plan.of(rows)
        with self._lock, torch.inference_mode():
            return self._tape_of(heads, start, plan).play(start, plan).first(samples)

    def _tape_of(self, heads: StackedHeads, start: Tensor, plan: WalkPlan) -> _Tape:
        key = (id(heads), start.shape[0], outline_of(plan))
        if key not in self._tapes:
            while len(self._tapes) >= self._most:
                self._tapes.popitem(last=False)
            self._tapes[key] = self._record(heads, start, plan)
        self._tapes.move_to_end(key)
        return self._tapes[key]

    def _record(self, heads: StackedHeads, start: Tensor, plan: WalkPlan) -> _Tape:
        course, memory = course_of(heads, plan), start.clone()
        course = replace(course, plan=course.plan.of(course.samples))  # memory that nobody else has

        def run() -> Trajectory:
            with without_asking():  # a recorder of the CPU must not see shorter paths either
                return follow(course, memory)

        return _Tape(heads, memory, course, self._recorder.record(run))


def bucket_of(samples: int) -> int:
    """The power of two that a number of samples is filled up to."""
    return 1 << (samples - 1).bit_length()
