"""/v1/jobs on the real service: results, progress, the queue, cancels, keys, restarts."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from model_store import StoredModel
from service.calls import Call
from service.handlers import Handlers
from service.job_schema import JOB_KINDS
from service.job_store import Job, MemoryJobs
from service.jobs import Jobs
from service.schema import GenerateBody
from service.settings import Settings
from tests.servers import running_server, server_of
from tests.service.test_streaming import LONG, expect_stopped, metric

EDIT: dict[str, Any] = {
    "source": {"seed": 21},
    "edits": [{"attribute": "smile", "target": "smiling", "steps": 4}],
}
REQUESTS: dict[str, dict[str, Any]] = {
    "edit": EDIT,
    "generate": {"seeds": [21]},
    "score": {"latents": [[0.25] * 16]},
    "directions": {"latent": [0.25] * 16, "attribute": "smile", "target": "smiling"},
}


def long_edit(seed: int) -> dict[str, Any]:
    return {"kind": "edit", "request": {**LONG, "source": {"seed": seed}}}


def submit(url: str, job: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = httpx.post(f"{url}/v1/jobs", json=job, headers=headers, timeout=30)
    assert answer.status_code == 202, answer.text
    return answer.json()


def status(url: str, job_id: str) -> dict[str, Any]:
    return httpx.get(f"{url}/v1/jobs", params={"id": job_id}, timeout=30).json()


def cancel(url: str, job_id: str) -> httpx.Response:
    return httpx.delete(f"{url}/v1/jobs", params={"id": job_id}, timeout=30)


def finished(url: str, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while (job := status(url, job_id))["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return job


def without_own(answer: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in answer.items() if k not in ("request_id", "timings_ms")}


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_job_has_the_result_of_its_endpoint(service_url: str, kind: str) -> None:
    job = submit(service_url, {"kind": kind, "request": REQUESTS[kind]})
    assert job["kind"] == kind
    done = finished(service_url, job["job_id"])
    assert (done["state"], done["progress"], done["error"]) == ("done", 1.0, None)
    assert done["finished_at"] >= done["created_at"]
    direct = httpx.post(f"{service_url}/v1/{kind}", json=REQUESTS[kind], timeout=30).json()
    assert without_own(done["result"]) == without_own(direct)


@pytest.mark.parametrize(
    ("job", "field", "allowed"),
    [
        ({"kind": "dance", "request": EDIT}, "kind", list(JOB_KINDS)),
        ({"request": EDIT}, "kind", None),
        (
            {"kind": "edit", "request": {**EDIT, "edits": []}},
            "request.edits",
            ["min_length 1"],
        ),
        (
            {"kind": "edit", "request": {**EDIT, "edits": [{"attribute": "x", "target": "y"}]}},
            "request.edits[0].attribute",
            ["smile", "age", "hair"],
        ),
        (
            {"kind": "generate", "request": {"seeds": [1], "model": "nobody"}},
            "request.model",
            ["tiny", "tiny-style", "tiny-cond"],
        ),
        ({"kind": "score", "request": {"latents": [[1.0]]}}, "request.latents[0]", None),
    ],
)
def test_a_bad_request_is_refused_at_once(
    service_url: str, job: dict[str, Any], field: str, allowed: Any
) -> None:
    answer = httpx.post(f"{service_url}/v1/jobs", json=job)
    error = answer.json()["error"]
    assert answer.status_code in (400, 404)
    assert (error["field"], error.get("allowed")) == (field, allowed)


def test_what_fails_while_it_runs_says_why(service_url: str) -> None:
    exclude = [{"attribute": "age", "top_k": 16}]
    request = {**EDIT, "edits": [{**EDIT["edits"][0], "exclude": exclude}]}
    failed = finished(
        service_url, submit(service_url, {"kind": "edit", "request": request})["job_id"]
    )
    assert (failed["state"], failed["result"]) == ("failed", None)
    assert failed["error"]["code"] == "no_editable_channels"
    assert failed["error"]["field"] == "request.edits[0].exclude"


def test_unknown_jobs_are_typed(service_url: str) -> None:
    for answer in (
        httpx.get(f"{service_url}/v1/jobs", params={"id": "nobody"}),
        cancel(service_url, "nobody"),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["field"]) == (404, "bad_request", "id")


def test_progress_queue_and_cancel(service_url: str) -> None:
    jobs = [submit(service_url, long_edit(seed))["job_id"] for seed in range(30, 34)]
    deadline = time.monotonic() + 30
    while not 0 < (first := status(service_url, jobs[0]))["progress"] < 1:
        assert time.monotonic() < deadline
    assert first["state"] == "running"
    waiting = [status(service_url, job_id) for job_id in jobs[2:]]
    assert [job["queue_position"] for job in waiting] == [0, 1]
    for job_id in reversed(jobs):
        cancelled = cancel(service_url, job_id)
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    again = cancel(service_url, jobs[0])
    assert (again.status_code, again.json()["error"]["field"]) == (409, "id")
    expect_stopped(service_url)
    assert metric(service_url, "gradctrl_jobs_queued") == 0
    assert status(service_url, jobs[0])["state"] == "cancelled"


def test_a_key_names_one_job(service_url: str) -> None:
    job, key = {"kind": "edit", "request": EDIT}, {"Idempotency-Key": "job key"}
    first = submit(service_url, job, **key)
    assert submit(service_url, job, **key)["job_id"] == first["job_id"]
    other = {"kind": "generate", "request": {"seeds": [1]}}
    refused = httpx.post(f"{service_url}/v1/jobs", json=other, headers=key)
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "Idempotency-Key")


@pytest.mark.slow
def test_jobs_are_bounded_and_survive_a_restart_in_a_file(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    environment = {
        "GRADCTRL_JOB_STORE": str(tmp_path / "jobs.db"),
        "GRADCTRL_JOB_WORKERS": "1",
        "GRADCTRL_MAX_JOBS": "1",
    }
    with running_server(
        bentoml_home, tmp_path / "first.txt", "--models", "tiny", **environment
    ) as url:
        done = submit(url, {"kind": "edit", "request": EDIT})["job_id"]
        result = finished(url, done)["result"]
        running = submit(url, long_edit(40))["job_id"]
        while status(url, running)["state"] == "queued":
            time.sleep(0.05)
        queued = submit(url, {"kind": "edit", "request": EDIT})["job_id"]
        refused = httpx.post(f"{url}/v1/jobs", json=long_edit(41))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    with running_server(
        bentoml_home, tmp_path / "second.txt", "--models", "tiny", **environment
    ) as url:
        assert status(url, done)["result"] == result
        assert status(url, running)["state"] in ("queued", "running")
        assert cancel(url, running).status_code == 200
        assert without_own(finished(url, queued)["result"]) == without_own(result)


ROOM_BYTES = 300_000  # of one file; more than a job is asked with, less than such a result
LARGE = {"seeds": list(range(4)), "output": {"size": 512}}


@pytest.mark.slow
def test_a_full_disk_refuses_loses_nothing_and_is_over_with_room(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    """A disk is full for a process that may not make files longer: the kernel refuses to write."""
    environment = {"GRADCTRL_JOB_STORE": str(tmp_path / "jobs.db"), "GRADCTRL_JOB_WORKERS": "1"}
    log = tmp_path / "log.txt"
    with running_server(bentoml_home, log, "--models", "tiny", **environment) as url:
        tree = server_of(url).children(recursive=True)
        api = next(one for one in tree if "edit_service" in one.cmdline())
        early = finished(url, submit(url, {"kind": "edit", "request": EDIT})["job_id"])
        large = httpx.post(f"{url}/v1/generate", json=LARGE, timeout=60).json()
        _, most = api.rlimit(psutil.RLIMIT_FSIZE)
        api.rlimit(psutil.RLIMIT_FSIZE, (ROOM_BYTES, most))
        waiting = submit(url, {"kind": "generate", "request": LARGE})["job_id"]
        accepted: list[str] = []
        while (answer := _submitted(url, len(accepted))).status_code == 202:
            accepted.append(answer.json()["job_id"])
            assert len(accepted) < 1000
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"]
        assert status(url, waiting)["state"] == "running"  # done, in fact, and not forgotten
        assert status(url, early["job_id"]) == early
        assert httpx.get(f"{url}/readyz", timeout=10).status_code == 200
        assert httpx.post(f"{url}/v1/edit", json=EDIT, timeout=30).status_code == 200
        api.rlimit(psutil.RLIMIT_FSIZE, (most, most))
        for job_id in accepted:
            done = finished(url, job_id)
            assert done["state"] == "done", done
        assert without_own(finished(url, waiting)["result"]) == without_own(large)
        assert _submitted(url, len(accepted)).status_code == 202
        assert status(url, early["job_id"]) == early


def _submitted(url: str, number: int) -> httpx.Response:
    latents = [[0.001 * number] * 16] * 8
    job = {"kind": "score", "request": {"latents": latents}}
    return httpx.post(f"{url}/v1/jobs", json=job, timeout=30)


class Endless(Handlers):
    """Handlers that never come to an end of an image."""

    def __init__(self) -> None:
        pass

    async def generate(self, body: GenerateBody, call: Call) -> Any:
        await asyncio.Event().wait()


SEEDS = Job("1", "generate", '{"seeds": [1]}', "digest", created_at=0.0)


def test_asking_about_a_job_forgets_none() -> None:
    """Work that grows with what is stored is none of a call's: many may ask."""
    store = MemoryJobs()
    store.add(SEEDS)
    store.change("1", state="done", result="{}", finished_at=0.0)

    async def scenario() -> None:
        jobs = Jobs(Endless(), store, Settings())
        assert jobs.status("1").state == "done"
        assert store.get("1") is not None
        jobs.start()
        while store.get("1") is not None:
            await asyncio.sleep(0)
        await jobs.stop()

    asyncio.run(scenario())


def test_a_job_that_was_cancelled_before_a_stop_stays_so() -> None:
    store = MemoryJobs()
    store.add(SEEDS)

    async def scenario() -> None:
        jobs = Jobs(Endless(), store, Settings())
        jobs.start()
        while jobs.status("1").state != "running":
            await asyncio.sleep(0)
        jobs.cancel("1")
        await jobs.stop()

    asyncio.run(scenario())
    assert store.unfinished() == []
