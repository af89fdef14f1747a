"""service/batcher.py: what shares a batch, what is refused, what survives a failure."""

import asyncio
import threading
from collections.abc import Hashable

import pytest

from service.batcher import Batcher, BatchLimits, QueueFullError, even_share

LIMITS = BatchLimits(max_size=4, max_wait_s=0, max_queue=6)


class Recorder:
    """Doubles numbers, batch by batch, while `gate` is open."""

    def __init__(self) -> None:
        self.batches: list[tuple[Hashable, list[int]]] = []
        self.gate = threading.Event()
        self.started = threading.Event()

    def run(self, key: Hashable, items: list[int]) -> list[int]:
        self.batches.append((key, items))
        self.started.set()
        assert self.gate.wait(10)
        if 13 in items:
            raise ValueError("unlucky")
        return [2 * item for item in items]


async def submitted(
    batcher: Batcher[int, int], recorder: Recorder, items: list[tuple[str, int, int]]
) -> list["asyncio.Task[int]"]:
    """Tasks of (key, item, size); the first is already running when the others arrive."""
    tasks = [asyncio.create_task(batcher.submit(*items[0]))]
    await asyncio.to_thread(recorder.started.wait, 10)
    tasks += [asyncio.create_task(batcher.submit(*item)) for item in items[1:]]
    await asyncio.sleep(0)
    return tasks


def test_what_arrives_while_a_batch_runs_is_the_next_batch() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        batcher = Batcher(recorder.run, LIMITS)
        items = [("a", 1, 1), ("a", 2, 1), ("b", 3, 1), ("a", 4, 1)]
        tasks = await submitted(batcher, recorder, items)
        recorder.gate.set()
        assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
        assert recorder.batches == [("a", [1]), ("a", [2, 4]), ("b", [3])]

    asyncio.run(scenario())


def test_sizes_bound_a_batch_but_a_large_item_still_runs() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        batcher = Batcher(recorder.run, BatchLimits(4, 0, 100))
        items = [("a", 1, 9), ("a", 2, 3), ("a", 3, 3), ("a", 4, 1)]
        tasks = await submitted(batcher, recorder, items)
        recorder.gate.set()
        await asyncio.gather(*tasks)
        assert [batch for _, batch in recorder.batches] == [[1], [2, 4], [3]]

    asyncio.run(scenario())


def test_a_full_queue_refuses_at_once_and_depth_is_reported() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        depths: list[int] = []
        batcher = Batcher(recorder.run, LIMITS, depths.append)
        tasks = await submitted(batcher, recorder, [("a", 1, 1), ("a", 2, 5)])
        with pytest.raises(QueueFullError, match="5 waiting, at most 6"):
            await batcher.submit("a", 3, 2)
        recorder.gate.set()
        assert await asyncio.gather(*tasks) == [2, 4]
        assert max(depths) == 5
        assert depths[-1] == 0

    asyncio.run(scenario())


def test_a_failing_batch_fails_its_callers_alone() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        batcher = Batcher(recorder.run, LIMITS)
        tasks = await submitted(batcher, recorder, [("a", 1, 1), ("b", 13, 1), ("c", 3, 1)])
        recorder.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[0] == 2
        assert isinstance(results[1], ValueError)
        assert results[2] == 6

    asyncio.run(scenario())


def test_a_cancelled_caller_s_item_does_not_run() -> None:
    async def scenario() -> None:
        recorder = Recorder()
        batcher = Batcher(recorder.run, LIMITS)
        tasks = await submitted(batcher, recorder, [("a", 1, 1), ("a", 2, 1), ("a", 3, 1)])
        tasks[1].cancel()
        await asyncio.sleep(0)
        recorder.gate.set()
        assert await tasks[0] == 2
        assert await tasks[2] == 6
        assert [batch for _, batch in recorder.batches] == [[1], [3]]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("frames", "most", "resolution", "share"),
    [
        (1, 9, 64, 1),
        (9, 9, 64, 9),
        (10, 9, 64, 5),
        (21, 9, 64, 7),
        (9, 9, 256, 3),
        (9, 16, 1024, 1),
    ],
)
def test_frames_go_evenly_into_the_fewest_batches(
    frames: int, most: int, resolution: int, share: int
) -> None:
    assert even_share(frames, most, resolution) == share
