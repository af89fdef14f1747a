"""Calls of a runner that can be told to stop. Knows nothing about what they do.

Every payload carries the id of the client's request and the seconds that are left of it: an HTTP
call between processes has no cancel of its own, and the two may run on different machines.
"""

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from service import metrics
from service.batcher import QueueFullError
from service.errors import UNEXPECTED, Refusal
from service.request_ids import working_on

REMEMBERED = 4096  # cancels that came before their call

Answer = dict[str, Any]

logger = logging.getLogger("gradctrl.service")


class Calls:
    """Runs calls within their time, and drops those of a cancelled request."""

    def __init__(self, runner: str) -> None:
        self._runner = runner
        self._running: defaultdict[str, set[asyncio.Task[Answer]]] = defaultdict(set)
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._count = 0
        self._in_flight = metrics.IN_FLIGHT.labels(runner)  # here: an autoscaler asks before a call
        for reason in ("cancel", "deadline"):  # series from the start, for rates
            metrics.CANCELLED.labels(runner, reason)

    @property
    def is_idle(self) -> bool:
        """Whether no call is running."""
        return self._count == 0

    async def run(
        self, payload: Mapping[str, Any], work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The answer of `work`, or a refusal: no room, no time left, cancelled, a failure."""
        with working_on(payload["request_id"]):
            return await self._run(payload["request_id"], payload["budget_s"], work)

    async def _run(
        self, request_id: str, budget_s: float, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        if request_id in self._cancelled:
            return self._drop("cancel")
        self._in_flight.inc()
        self._count += 1
        task = asyncio.create_task(self._refusing(work))
        self._running[request_id].add(task)
        try:
            await asyncio.wait({task}, timeout=budget_s)
            if not task.done():
                return self._drop("deadline")
            return self._drop("cancel") if task.cancelled() else task.result()
        finally:
            task.cancel()  # nothing to a task that is done
            self._forget(request_id, task)
            self._count -= 1
            self._in_flight.dec()

    def cancel(self, request_id: str) -> None:
        """Stop what the request has here, and refuse what of it is still on its way."""
        self._cancelled[request_id] = None
        while len(self._cancelled) > REMEMBERED:
            self._cancelled.popitem(last=False)
        for task in self._running.get(request_id, ()):
            task.cancel()

    async def _refusing(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await work()
        except QueueFullError as error:
            return Refusal("overloaded", f"{self._runner} has no room: {error}").as_payload()
        except Exception:  # BentoML would log it without the request's id
            logger.exception("a call of the %s runner failed", self._runner)
            return Refusal("internal", UNEXPECTED).as_payload()

    def _drop(self, reason: str) -> Answer:
        metrics.CANCELLED.labels(self._runner, reason).inc()
        return Refusal("deadline_exceeded", "stopped: out of time, or cancelled").as_payload()

    def _forget(self, request_id: str, task: "asyncio.Task[Answer]") -> None:
        self._running[request_id].discard(task)
        if not self._running[request_id]:
            del self._running[request_id]
