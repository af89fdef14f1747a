"""Jobs: requests that are worked on behind the client's back. Knows no transport.

Each kind is the request of an endpoint and runs through the same handlers. A few workers take
jobs in the order of their arrival; a job that finds the service full waits for its turn.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Iterator
from contextlib import aclosing, contextmanager, suppress
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from service import answers, metrics
from service.answer_schema import EditBodyAnswer, ErrorDetail, FrameAnswer, InvertAnswer
from service.cache import digest
from service.calls import Call
from service.errors import ApiError
from service.handlers import Handlers
from service.idempotency import conflict, expect_key, owned_key
from service.job_schema import (
    KINDS,
    AnyJob,
    EditJob,
    GenerateJob,
    InvertJob,
    JobAnswer,
    ScoreJob,
)
from service.job_store import Job, JobStore, JobStoreError
from service.request_ids import working_on
from service.settings import Settings
from service.steady_clock import Clock, SteadyClock

logger = logging.getLogger("gradctrl.service")

RETRY_S = 0.2  # of a job that finds the service full
STORE_RETRY_S = 0.5  # of an outcome that finds no room in the store
PRUNE_EVERY_S = 1.0


class Jobs:
    """Submits, runs, reports and cancels jobs."""

    def __init__(
        self, handlers: Handlers, store: JobStore, config: Settings, now: Clock | None = None
    ) -> None:
        self._handlers = handlers
        self._now = now or SteadyClock()
        self._store = store
        self._config = config
        self._queue = {job.job_id: len(job.request) for job in store.unfinished()}  # in order
        self._running: dict[str, asyncio.Task[BaseModel]] = {}
        self._progress: dict[str, float] = {}  # of what runs; too fleeting for a store
        self._arrived = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work, first on what an earlier process left."""
        self._changed()
        work = [self._work() for _ in range(self._config.job_workers)]
        self._workers = [asyncio.create_task(one) for one in (*work, self._keep_pruning())]

    async def stop(self) -> None:
        """Stop working; what is still called running is queued when its store is opened again."""
        for task in (*self._workers, *self._running.values()):
            task.cancel()
        await asyncio.gather(*self._workers, *self._running.values(), return_exceptions=True)

    def submit(self, body: AnyJob, call: Call) -> JobAnswer:
        """A new job, or that of the caller's idempotency key."""
        self._handlers.engine.gate.expect_open()
        name = digest("job", body)
        key, owned = call.idempotency_key, None
        if key is not None:
            expect_key(key)
            owned = owned_key(call.caller, key)
            with _refusing():
                known = self._store.of_key(owned)
            if known is not None and known.digest != name:
                raise conflict(key)
            if known is not None:
                return self._answer(known)
        self._handlers.expect_valid(body.request, "request.")
        request = body.request.model_dump_json()
        waiting, waiting_bytes = len(self._queue), sum(self._queue.values())
        if waiting >= self._config.max_jobs or (
            waiting and waiting_bytes + len(request) > self._config.job_bytes
        ):
            message = f"{waiting} jobs of {waiting_bytes} bytes are waiting; try again"
            raise ApiError("overloaded", message)
        job = Job(uuid.uuid4().hex, body.kind, request, name, self._now(), owned)
        with _refusing():
            self._store.add(job)
        self._queue[job.job_id] = len(request)
        self._changed()
        return self._answer(job)

    def status(self, job_id: str) -> JobAnswer:
        """Where a job stands."""
        return self._answer(self._find(job_id))

    def cancel(self, job_id: str) -> JobAnswer:
        """Stop a job; one that is finished cannot be stopped."""
        job = self._find(job_id)
        if job.is_finished:
            message = f"job {job_id} is {job.state} already"
            raise ApiError("bad_request", message, "id", status=HTTPStatus.CONFLICT)
        with _refusing():
            self._finish(job, state="cancelled")
        if job_id in self._queue:
            del self._queue[job_id]
            self._changed()
        elif job_id in self._running:
            self._running[job_id].cancel()
        return self._answer(self._find(job_id))

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            if not self._queue:
                self._arrived.clear()
                continue
            job_id = next(iter(self._queue))
            size = self._queue.pop(job_id)
            self._changed()
            try:
                job = self._store.get(job_id)
            except JobStoreError as error:
                logger.error("job %s waits for its store: %s", job_id, error)
                self._queue[job_id] = size
                await asyncio.sleep(STORE_RETRY_S)
                continue
            if job is not None and not job.is_finished:
                await self._run(job)

    async def _run(self, job: Job) -> None:
        with suppress(JobStoreError):  # a crash does the same to a running job and a queued one
            self._store.change(job.job_id, state="running")
        with working_on(job.job_id):
            task = asyncio.create_task(self._outcome(job))
        self._running[job.job_id] = task
        try:
            await asyncio.wait({task})
            if not task.cancelled():  # whoever cancelled it has written so
                await self._remember(job, self._changes(job, task))
        finally:
            del self._running[job.job_id]
            self._progress.pop(job.job_id, None)

    def _changes(self, job: Job, task: "asyncio.Task[BaseModel]") -> dict[str, Any]:
        """What is to be remembered of a job that ended."""
        error = task.exception()
        if error is None:
            return {"state": "done", "result": task.result().model_dump_json()}
        if not isinstance(error, ApiError):
            with working_on(job.job_id):
                logger.error("a job failed", exc_info=error)
            error = ApiError("internal", "the service failed on this job; see its log")
        metrics.REJECTED.labels(error.code).inc()
        return {"state": "failed", "error": json.dumps(error.body()["error"])}

    async def _remember(self, job: Job, changes: dict[str, Any]) -> None:
        """Write the end of a job; where there is no room, wait for it and keep the worker busy."""
        is_logged = False
        while True:
            try:
                known = self._store.get(job.job_id)
                if known is not None and not known.is_finished:
                    self._finish(job, **changes)
                return
            except JobStoreError as error:
                if not is_logged:
                    logger.error("job %s is done, and waits for its store: %s", job.job_id, error)
                is_logged = True
            await asyncio.sleep(STORE_RETRY_S)

    async def _outcome(self, job: Job) -> BaseModel:
        """The answer of the job's request; a full service is waited for."""
        body = KINDS[job.kind].model_validate_json(
            json.dumps({"kind": job.kind, "request": json.loads(job.request)})
        )
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._config.job_timeout_s
        while True:
            call = Call(ceiling_s=max(ends - loop.time(), 0.0))
            try:
                return await self._answering(job, body, call)
            except ApiError as error:
                if error.code != "overloaded" or loop.time() >= ends:
                    raise error.within("request.") from error
            await asyncio.sleep(RETRY_S)

    def _answering(self, job: Job, body: AnyJob, call: Call) -> Awaitable[BaseModel]:
        if isinstance(body, EditJob):
            return self._edit(job, body, call)
        if isinstance(body, GenerateJob):
            return self._handlers.generate(body.request, call)
        if isinstance(body, ScoreJob):
            return self._handlers.score(body.request, call)
        if isinstance(body, InvertJob):
            return self._invert(job, body, call)
        return self._handlers.directions(body.request, call)

    async def _edit(self, job: Job, body: EditJob, call: Call) -> EditBodyAnswer:
        """An edit frame by frame, so that its progress shows."""
        expected = self._handlers.num_frames(body.request)
        frames: list[FrameAnswer] = []
        async with aclosing(self._handlers.edit_stream(body.request, call)) as events:
            async for event in events:
                if not isinstance(event, FrameAnswer):
                    return answers.whole_edit(event, frames)
                frames.append(event)
                self._progress[job.job_id] = min(len(frames) / expected, 0.99)
        raise AssertionError("an edit ends with its summary")

    async def _invert(self, job: Job, body: InvertJob, call: Call) -> InvertAnswer:
        """An inversion piece by piece, so that its progress shows."""
        async with aclosing(self._handlers.invert(body.request, call)) as events:
            async for event in events:
                if isinstance(event, InvertAnswer):
                    return event
                self._progress[job.job_id] = min(event.step / event.steps, 0.99)
        raise AssertionError("an inversion ends with its result")

    def _finish(self, job: Job, **changes: Any) -> None:
        self._store.change(job.job_id, finished_at=self._now(), request="", **changes)
        metrics.JOBS.labels(job.kind, changes["state"]).inc()

    def _find(self, job_id: str) -> Job:
        with _refusing():
            job = self._store.get(job_id)
        if job is None:
            message = f"no job {job_id!r}; finished jobs are kept for a time"
            raise ApiError("bad_request", message, "id", status=HTTPStatus.NOT_FOUND)
        return job

    async def _keep_pruning(self) -> None:
        while True:
            finished_before = self._now() - self._config.job_ttl_s
            with suppress(JobStoreError):  # what is too old waits for the next time
                while self._store.prune(finished_before, self._config.job_bytes):
                    await asyncio.sleep(0)  # calls of clients go between
            await asyncio.sleep(PRUNE_EVERY_S)

    def _changed(self) -> None:
        metrics.JOBS_QUEUED.set(len(self._queue))
        if self._queue:
            self._arrived.set()

    def _answer(self, job: Job) -> JobAnswer:
        waits = job.job_id in self._queue
        runs = job.job_id in self._running and not job.is_finished
        return JobAnswer(
            job_id=job.job_id,
            kind=job.kind,
            state="running" if runs else job.state,
            progress=1.0 if job.state == "done" else self._progress.get(job.job_id, 0.0),
            queue_position=list(self._queue).index(job.job_id) if waits else None,
            created_at=job.created_at,
            finished_at=job.finished_at,
            result=None if job.result is None else json.loads(job.result),
            error=None if job.error is None else ErrorDetail(**json.loads(job.error)),
        )


@contextmanager
def _refusing() -> Iterator[None]:
    """A refusal where the store has no room: nothing was changed, and the client may try again."""
    try:
        yield
    except JobStoreError as error:
        logger.error("a call about jobs is refused: %s", error)
        message = "the store of jobs cannot be used just now; try again"
        raise ApiError("overloaded", message) from error
