"""Jobs through the client: submit, wait, progress, cancel, refusals."""

import base64

import pytest
from gradctrl_client import (
    BadRequestError,
    Client,
    DeadlineExceededError,
    Edit,
    Generated,
    Inverted,
    Job,
    JobCancelledError,
    UnknownClassError,
)

LONG = {"steps": 64, "exclude": [], "model": "tiny-style", "output": {"size": 1024}}


def test_a_job_has_the_answer_of_the_call(service_url: str) -> None:
    seen: list[Job] = []
    with Client(service_url) as client:
        job = client.submit_edit("smile", "smiling", seed=7)
        assert job.state in ("queued", "running", "done")
        edit = client.wait(job, on_progress=seen.append)
        whole = client.edit("smile", "smiling", seed=7)
    assert isinstance(edit, Edit)
    assert [f.encoded for f in edit.frames] == [f.encoded for f in whole.frames]
    assert edit.latent.tobytes() == whole.latent.tobytes()
    assert seen[-1].state == "done"
    assert seen[-1].progress == 1


def test_every_kind(service_url: str) -> None:
    with Client(service_url) as client:
        generated = client.wait(client.submit("generate", {"seeds": [1, 2]}))
        assert isinstance(generated, Generated)
        scores = client.wait(client.submit("score", {"latents": generated.latents}))
        assert scores == client.score(list(generated.latents))
        body = {"latent": generated.latents[0], "attribute": "age", "target": "old"}
        found = client.wait(client.submit("directions", body))
        assert isinstance(found, dict)
        assert found["direction"].shape == (16,)
        image = base64.b64encode(generated.encoded[0]).decode()
        inverted = client.wait(client.submit("invert", {"image": image, "inversion": {"steps": 5}}))
        assert isinstance(inverted, Inverted)
        assert inverted.latent.shape == (16,)


def test_an_unknown_kind_is_refused(service_url: str) -> None:
    with Client(service_url) as client, pytest.raises(BadRequestError) as caught:
        client.submit("dance", {})
    assert caught.value.allowed == ["directions", "edit", "generate", "invert", "score"]


def test_a_failed_job_raises_what_the_call_would(service_url: str) -> None:
    """Names are checked when the job is submitted or when it runs; both raise the same."""
    with Client(service_url) as client, pytest.raises(UnknownClassError) as caught:
        client.wait(client.submit_edit("smile", "grinning", seed=7))
    assert caught.value.field is not None
    assert caught.value.field.endswith("edits[0].target")


def test_a_cancelled_job_and_cancelling_twice(service_url: str) -> None:
    with Client(service_url) as client:
        jobs = [client.submit_edit("smile", "smiling", seed=200 + i, **LONG) for i in range(4)]  # type: ignore[arg-type]
        assert client.cancel(jobs[-1].job_id).state == "cancelled"
        with pytest.raises(JobCancelledError):
            client.wait(jobs[-1])
        with pytest.raises(BadRequestError) as caught:
            client.cancel(jobs[-1].job_id)
        assert (caught.value.status, caught.value.field) == (409, "id")
        for job in jobs[:-1]:
            client.cancel(job.job_id)


def test_an_unknown_job(service_url: str) -> None:
    with Client(service_url) as client, pytest.raises(BadRequestError) as caught:
        client.job("nobody")
    assert (caught.value.status, caught.value.field) == (404, "id")


def test_waiting_has_an_end(service_url: str) -> None:
    with Client(service_url) as client:
        job = client.submit_edit("smile", "smiling", seed=300, **LONG)  # type: ignore[arg-type]
        with pytest.raises(DeadlineExceededError, match=job.job_id):
            client.wait(job, timeout_s=0.0)
        client.cancel(job.job_id)


def test_one_key_is_one_job(service_url: str) -> None:
    with Client(service_url) as client:
        first, again = (
            client.submit("generate", {"seeds": [9]}, idempotency_key="test-jobs-key")
            for _ in range(2)
        )
    assert again.job_id == first.job_id
