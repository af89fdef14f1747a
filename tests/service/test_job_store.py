"""service/job_store.py: both stores remember the same; a file outlives its process."""

import dataclasses
from pathlib import Path

import pytest

from service.job_store import OVERHEAD, Job, JobStore, JobStoreError, MemoryJobs, SqliteJobs

JOB = Job("1", "edit", '{"a": 1}', "digest", created_at=5.0, key="k")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> JobStore:
    return MemoryJobs() if request.param == "memory" else SqliteJobs(tmp_path / "jobs.db")


def test_jobs_are_remembered_and_change(store: JobStore) -> None:
    store.add(JOB)
    assert store.get("1") == JOB
    assert store.of_key("k") == JOB
    assert store.get("2") is None
    assert store.of_key("l") is None
    store.change("1", state="done", result="{}", finished_at=6.0)
    assert store.get("1") == dataclasses.replace(JOB, state="done", result="{}", finished_at=6.0)
    store.change("2", state="done")
    assert store.get("2") is None


def test_unfinished_jobs_come_in_order(store: JobStore) -> None:
    for number, state in enumerate(("queued", "done", "running", "queued")):
        store.add(dataclasses.replace(JOB, job_id=str(number), created_at=number, key=None))
        store.change(str(number), state=state)
    assert [job.job_id for job in store.unfinished()] == ["0", "2", "3"]


def add_five(store: JobStore) -> None:
    """Jobs 0 to 4; all but the last are done."""
    for number in range(5):
        store.add(dataclasses.replace(JOB, job_id=str(number), key=f"k{number}"))
        if number < 4:
            store.change(str(number), state="done", result="x" * 100, finished_at=float(number))


def expect_three_kept(store: JobStore) -> None:
    """The first is too old and the second beyond the bytes; one is forgotten at a time."""
    bounds = 1.0, 2 * (OVERHEAD + 100)
    for left in ([1, 2, 3, 4], [2, 3, 4]):
        assert store.prune(*bounds)
        assert [number for number in range(5) if store.get(str(number))] == left
    assert not store.prune(*bounds)
    assert store.of_key("k0") is None


def test_old_jobs_and_too_many_bytes_are_forgotten(store: JobStore) -> None:
    add_five(store)
    store.change("unknown", state="done", result="x" * 10_000, finished_at=0.0)
    expect_three_kept(store)


def test_what_a_file_holds_is_counted_when_it_is_opened(tmp_path: Path) -> None:
    add_five(SqliteJobs(tmp_path / "jobs.db"))
    expect_three_kept(SqliteJobs(tmp_path / "jobs.db"))


def test_looking_for_what_to_forget_reads_nothing(tmp_path: Path) -> None:
    store = SqliteJobs(tmp_path / "jobs.db")
    add_five(store)
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    assert not store.prune(finished_before=0.0, max_bytes=10 * OVERHEAD)
    assert statements == []
    assert store.prune(finished_before=1.0, max_bytes=10 * OVERHEAD)
    assert [one.split()[0] for one in statements] == ["DELETE"]


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    first = SqliteJobs(path)
    first.add(JOB)
    first._db.close()  # its pages are in the file itself from here on
    store = SqliteJobs(path)
    path.write_bytes(b"\xff" * path.stat().st_size)
    store._execute("PRAGMA shrink_memory")  # or it would go by the pages that it has in memory
    with pytest.raises(JobStoreError, match="not a database"):
        store.get("1")


def test_a_file_outlives_its_process(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    first = SqliteJobs(path)
    first.add(JOB)
    first.add(dataclasses.replace(JOB, job_id="2", key=None))
    first.change("1", state="done", result="{}", finished_at=6.0)
    first.change("2", state="running")
    second = SqliteJobs(path)
    found = second.get("1")
    assert found is not None
    assert (found.state, found.result) == ("done", "{}")
    assert [(job.job_id, job.state) for job in second.unfinished()] == [("2", "queued")]


def test_a_full_file_says_so_and_loses_nothing(tmp_path: Path) -> None:
    """SQLITE_FULL by its own bound on pages, which is what a full disk gives as well."""
    store = SqliteJobs(tmp_path / "jobs.db")
    store.add(JOB)
    pages = store._execute("PRAGMA page_count")[0][0]
    store._execute(f"PRAGMA max_page_count = {pages}")
    large = dataclasses.replace(JOB, job_id="2", request="x" * 100_000)
    with pytest.raises(JobStoreError, match="database or disk is full"):
        store.add(large)
    with pytest.raises(JobStoreError, match="database or disk is full"):
        store.change("1", result=large.request)
    assert (store.get("1"), store.get("2")) == (JOB, None)
    store._execute(f"PRAGMA max_page_count = {10 * pages + 100}")
    store.add(large)
    store.change("1", result=large.request)
    assert store.get("2") == large
    assert [job.job_id for job in SqliteJobs(tmp_path / "jobs.db").unfinished()] == ["1", "2"]


def test_arrival_orders_jobs_whatever_the_clock_said(store: JobStore) -> None:
    for number, created_at in enumerate((9.0, 5.0, 7.0)):
        store.add(dataclasses.replace(JOB, job_id=str(number), created_at=created_at))
    assert [job.job_id for job in store.unfinished()] == ["0", "1", "2"]
    found = store.of_key("k")
    assert found is not None
    assert found.job_id == "2"
