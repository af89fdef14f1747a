"""What is remembered of jobs: in memory, or in an SQLite file that survives a restart.

Knows nothing about running them. Results are JSON texts; the oldest finished jobs are forgotten
after their time, or when the results take too many bytes.
"""

import heapq
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

from service.job_schema import FINISHED, Kind, State

OVERHEAD = 1000  # bytes that a job takes beside its result


class JobStoreError(Exception):
    """The store cannot be read or written: for want of room as a rule, or because it is damaged."""


@dataclass(frozen=True)
class Job:
    """One job as it is remembered."""

    job_id: str
    kind: Kind
    request: str  # JSON; empty once it is finished
    digest: str  # of kind and request
    created_at: float
    key: str | None = None  # idempotency key
    state: State = "queued"
    finished_at: float | None = None
    result: str | None = None  # JSON
    error: str | None = None  # JSON

    @property
    def is_finished(self) -> bool:
        """Whether it will not change any more."""
        return self.state in FINISHED


class JobStore(Protocol):
    """Where jobs are remembered; a JobStoreError changes nothing, and may be gone the next time."""

    def add(self, job: Job) -> None:
        """Remember a new job."""

    def get(self, job_id: str) -> Job | None:
        """The job of an id."""

    def of_key(self, key: str) -> Job | None:
        """The job of an idempotency key."""

    def change(self, job_id: str, **changes: Any) -> None:
        """Remember a change; an unknown job has none."""

    def unfinished(self) -> list[Job]:
        """Jobs to be done, oldest first."""

    def prune(self, finished_before: float, max_bytes: int) -> bool:
        """Forget the oldest finished job where its time or the bytes are over; whether so.

        One at a time, because SQLite takes milliseconds for a large one.
        """


class _Finished:
    """Which finished job is the oldest, and how many bytes all take: no result is read for that."""

    def __init__(self, ends: Iterable[tuple[float, str, int]] = ()) -> None:
        self._ends = list(ends)  # a heap of (finished at, job id, bytes)
        heapq.heapify(self._ends)
        self._bytes = sum(size for *_, size in self._ends)

    def add(self, job_id: str, finished_at: float, result: str | None) -> None:
        """Count a job that has ended."""
        size = OVERHEAD + len(result or "")
        heapq.heappush(self._ends, (finished_at, job_id, size))
        self._bytes += size

    def outdated(self, finished_before: float, max_bytes: int) -> str | None:
        """The oldest job's id where it is to be forgotten."""
        if not self._ends:
            return None
        finished_at, job_id, _ = self._ends[0]
        return job_id if finished_at < finished_before or self._bytes > max_bytes else None

    def drop_oldest(self) -> None:
        """Count the oldest job no more."""
        self._bytes -= heapq.heappop(self._ends)[-1]


class MemoryJobs:
    """Jobs that end with the process."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._of_key: dict[str, str] = {}
        self._finished = _Finished()

    def add(self, job: Job) -> None:
        """Remember a new job."""
        self._jobs[job.job_id] = job
        if job.key is not None:
            self._of_key[job.key] = job.job_id

    def get(self, job_id: str) -> Job | None:
        """The job of an id."""
        return self._jobs.get(job_id)

    def of_key(self, key: str) -> Job | None:
        """The job of an idempotency key."""
        return self._jobs.get(self._of_key.get(key, ""))

    def change(self, job_id: str, **changes: Any) -> None:
        """Remember a change; an unknown job has none."""
        if job_id in self._jobs:
            self._jobs[job_id] = replace(self._jobs[job_id], **changes)
            if "finished_at" in changes:
                self._finished.add(job_id, changes["finished_at"], changes.get("result"))

    def unfinished(self) -> list[Job]:
        """Jobs to be done, oldest first."""
        return [job for job in self._jobs.values() if not job.is_finished]

    def prune(self, finished_before: float, max_bytes: int) -> bool:
        """Forget the oldest finished job where its time or the bytes are over; whether so."""
        job_id = self._finished.outdated(finished_before, max_bytes)
        if job_id is None:
            return False
        job = self._jobs.pop(job_id)
        if job.key is not None:
            self._of_key.pop(job.key, None)
        self._finished.drop_oldest()
        return True


class SqliteJobs:
    """Jobs in a file; those that a stopped process left unfinished are queued again."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._execute("PRAGMA journal_mode=WAL")
        self._execute("PRAGMA synchronous=NORMAL")
        columns = ", ".join(field.name for field in fields(Job) if field.name != "job_id")
        self._execute(f"CREATE TABLE IF NOT EXISTS jobs (job_id TEXT PRIMARY KEY, {columns})")
        self._execute("CREATE INDEX IF NOT EXISTS jobs_key ON jobs (key)")
        self._execute("UPDATE jobs SET state='queued' WHERE state='running'")
        ends = self._execute(  # reads all results, so here and never again
            "SELECT finished_at, job_id, coalesce(length(result), 0) + ? FROM jobs"
            " WHERE finished_at IS NOT NULL",
            (OVERHEAD,),
        )
        self._finished = _Finished(tuple(row) for row in ends)

    def add(self, job: Job) -> None:
        """Remember a new job."""
        values = asdict(job)
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self._execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", tuple(values.values()))

    def get(self, job_id: str) -> Job | None:
        """The job of an id."""
        return next(iter(self._select("job_id = ?", job_id)), None)

    def of_key(self, key: str) -> Job | None:
        """The job of an idempotency key."""
        return next(iter(self._select("key = ? ORDER BY rowid DESC", key)), None)

    def change(self, job_id: str, **changes: Any) -> None:
        """Remember a change; an unknown job has none."""
        names = ", ".join(f"{name} = ?" for name in changes)
        changed = self._execute(
            f"UPDATE jobs SET {names} WHERE job_id = ? RETURNING job_id",
            (*changes.values(), job_id),
        )
        if changed and "finished_at" in changes:
            self._finished.add(job_id, changes["finished_at"], changes.get("result"))

    def unfinished(self) -> list[Job]:
        """Jobs to be done, oldest first: by their arrival, because a clock may be set back."""
        return self._select("state IN ('queued', 'running') ORDER BY rowid")

    def prune(self, finished_before: float, max_bytes: int) -> bool:
        """Forget the oldest finished job where its time or the bytes are over; whether so."""
        job_id = self._finished.outdated(finished_before, max_bytes)
        if job_id is None:
            return False
        self._execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
        self._finished.drop_oldest()
        return True

    def _select(self, where: str, *values: str) -> list[Job]:
        rows = self._execute(f"SELECT * FROM jobs WHERE {where}", values)
        return [Job(**dict(row)) for row in rows]

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a statement, which is a transaction of its own."""
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:  # SQLITE_FULL, IOERR, BUSY, READONLY, CORRUPT
            raise JobStoreError(f"the file of jobs cannot be used: {error}") from error


def open_job_store(path: str) -> JobStore:
    """The file's jobs, or none in memory."""
    return SqliteJobs(Path(path)) if path else MemoryJobs()
