"""Requests and answers of /v1/jobs: one kind of job per endpoint. Knows nothing about running."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field

from service.answer_schema import ErrorDetail
from service.schema import DirectionsBody, EditBody, GenerateBody, InvertBody, Request, ScoreBody

Kind = Literal["edit", "generate", "score", "directions", "invert"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: tuple[State, ...] = ("done", "failed", "cancelled")


class EditJob(Request):
    """An edit, as in POST /v1/edit."""

    kind: Literal["edit"]
    request: EditBody


class GenerateJob(Request):
    """Images of seeds or latents, as in POST /v1/generate."""

    kind: Literal["generate"]
    request: GenerateBody


class ScoreJob(Request):
    """Scores of latents, as in POST /v1/score."""

    kind: Literal["score"]
    request: ScoreBody


class DirectionsJob(Request):
    """A direction, as in POST /v1/directions."""

    kind: Literal["directions"]
    request: DirectionsBody


class InvertJob(Request):
    """An inversion, as in POST /v1/invert."""

    kind: Literal["invert"]
    request: InvertBody


AnyJob = EditJob | GenerateJob | ScoreJob | DirectionsJob | InvertJob
JobBody = Annotated[AnyJob, Field(discriminator="kind")]
JOB_KINDS: tuple[Kind, ...] = get_args(Kind)
KINDS: dict[Kind, type[AnyJob]] = {
    "edit": EditJob,
    "generate": GenerateJob,
    "score": ScoreJob,
    "directions": DirectionsJob,
    "invert": InvertJob,
}


class JobAnswer(BaseModel):
    """Where a job stands."""

    job_id: str
    kind: Kind
    state: State
    progress: float = Field(ge=0, le=1)
    queue_position: int | None = Field(description="0 is the next one; null once it runs")
    created_at: float = Field(description="seconds since 1970")
    finished_at: float | None
    result: dict[str, Any] | None = Field(description="the answer of the endpoint, once done")
    error: ErrorDetail | None = Field(description="why it failed")
