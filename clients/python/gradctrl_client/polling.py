"""How a job is waited for: the pauses, and what its end means. Asks nothing itself."""

from __future__ import annotations

from gradctrl_client.errors import InternalError, JobCancelledError
from gradctrl_client.results import Job, JobResult

POLL_S = 0.05  # first pause; short jobs answer soon
LONGEST_POLL_S = 2.0


def next_poll_s(pause: float) -> float:
    """The pause after this one."""
    return min(pause * 1.5, LONGEST_POLL_S)


def result_of(job: Job) -> JobResult:
    """The result of a job that is over; raises why it has none."""
    if job.state == "cancelled":
        raise JobCancelledError("cancelled", f"job {job.job_id} was cancelled")
    if job.error is not None:
        raise job.error
    if job.result is None:
        raise InternalError("internal", f"job {job.job_id} is {job.state} without a result")
    return job.result
