"""An asyncio batcher: items that arrive while a batch runs form the next one.

Knows nothing about tensors. BentoML's own adaptive batching takes one argument and answers 503
in bursts (docs/decisions.md), hence this one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


BATCH_PIXELS = 4 * 256**2  # of all frames of a batch: bounds memory and keeps streams flowing


def even_share(frames: int, most: int, resolution: int) -> int:
    """Frames of each batch when so many go into the fewest batches of at most `most`.

    Large images go into smaller batches. Depends on the request and its model alone, so that equal
    requests are rendered in equal batches.
    """
    limit = max(1, min(most, BATCH_PIXELS // resolution**2))
    return -(-frames // -(-frames // limit))


class QueueFullError(Exception):
    """The queue holds as much as it may."""


@dataclass(frozen=True)
class BatchLimits:
    """How much is taken together and how much may wait."""

    max_size: int
    max_wait_s: float
    max_queue: int


@dataclass
class _Waiting(Generic[Item, Result]):
    item: Item
    size: int
    key: Hashable
    answer: "asyncio.Future[Result]"


class Batcher(Generic[Item, Result]):
    """Runs `run(key, items)` on one worker thread, a batch at a time, first come first served."""

    def __init__(
        self,
        run: Callable[[Hashable, list[Item]], list[Result]],
        limits: BatchLimits,
        on_depth: Callable[[int], None] = lambda depth: None,
    ) -> None:
        self._run = run
        self._limits = limits
        self._on_depth = on_depth
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._depth = 0
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._executor = ThreadPoolExecutor(max_workers=1)

    async def submit(self, key: Hashable, item: Item, size: int = 1) -> Result:
        """The result for one item; see `submit_all`."""
        (answer,) = self.submit_all(key, [(item, size)])
        return await answer

    def submit_all(
        self, key: Hashable, sized: Sequence[tuple[Item, int]]
    ) -> list["asyncio.Future[Result]"]:
        """The futures of items with their sizes; only items of equal key share a batch.

        Raises QueueFullError at once when they do not all fit the queue. An item whose future is
        cancelled is dropped if it has not started.
        """
        total = sum(size for _, size in sized)
        if self._depth and self._depth + total > self._limits.max_queue:
            raise QueueFullError(f"{self._depth} waiting, at most {self._limits.max_queue}")
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(item, size, key, loop.create_future()) for item, size in sized]
        self._queue.extend(waiting)
        self._change_depth(total)
        self._arrived.set()
        return [one.answer for one in waiting]

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            if self._limits.max_wait_s and self._depth < self._limits.max_size:
                await asyncio.sleep(self._limits.max_wait_s)
            batch = self._take()
            if not self._queue:
                self._arrived.clear()
            if not batch:
                continue
            items = [waiting.item for waiting in batch]
            try:
                results = await loop.run_in_executor(self._executor, self._run, batch[0].key, items)
            except Exception as error:  # answered to every caller of the batch
                self._fail(batch, error)
                continue
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(result)

    def _take(self) -> list[_Waiting[Item, Result]]:
        """The oldest item and all later ones of its key that fit beside it."""
        batch: list[_Waiting[Item, Result]] = []
        rest: deque[_Waiting[Item, Result]] = deque()
        size = 0
        while self._queue:
            waiting = self._queue.popleft()
            if waiting.answer.done():  # its caller went away
                self._change_depth(-waiting.size)
            elif not batch or (
                waiting.key == batch[0].key and size + waiting.size <= self._limits.max_size
            ):
                batch.append(waiting)
                size += waiting.size
                self._change_depth(-waiting.size)
            else:
                rest.append(waiting)
        self._queue = rest
        return batch

    def _fail(self, batch: list[_Waiting[Item, Result]], error: Exception) -> None:
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)

    def _change_depth(self, change: int) -> None:
        self._depth += change
        self._on_depth(self._depth)
