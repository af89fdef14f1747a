"""What can be asked of the service, as values that any transport can carry. Sends nothing."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from gradctrl_client import requests
from gradctrl_client.generated import models as wire
from gradctrl_client.options import (
    EditOptions,
    GenerateOptions,
    InvertOptions,
    Latents,
    StreamOptions,
)
from gradctrl_client.results import Edit, EditSummary, Generated, Inverted, Job, Scores

Result = TypeVar("Result")


@dataclass(frozen=True)
class Call(Generic[Result]):
    """One call: its name in the API, and the arguments of the generated function of that name."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    is_repeatable: bool = True  # asking twice is the same as asking once

    @property
    def body(self) -> Any:
        """The request model, where the call has one."""
        return self.arguments.get("body")

    @property
    def idempotency_key(self) -> str | None:
        """The key under which the service knows a repetition."""
        return self.arguments.get("idempotency_key")


JOB_BODIES: dict[str, Any] = {
    "edit": (wire.EditJob, requests.read_edit_body),
    "generate": (wire.GenerateJob, requests.read_generate_body),
    "invert": (wire.InvertJob, requests.read_invert_body),
    "score": (wire.ScoreJob, requests.read_score_body),
    "directions": (wire.DirectionsJob, requests.read_directions_body),
}


def edit(attribute: str | None, target: str | None, options: EditOptions) -> Call[Edit]:
    """Of /v1/edit."""
    key = _key(options)
    return Call("edit", {"body": requests.edit_body(attribute, target, options), **key})


def edit_stream(
    attribute: str | None, target: str | None, options: StreamOptions
) -> Call[EditSummary]:
    """Of /v1/edit/stream."""
    body = requests.edit_body(attribute, target, options, StreamOptions)
    return Call("edit_stream", {"body": body})


def edit_image(body: Mapping[str, Any]) -> Call[bytes]:
    """Of /v1/edit/image."""
    return Call("edit_image", {"body": requests.read_edit_image_body(body)})


def generate(seeds: Any, options: GenerateOptions) -> Call[Generated]:
    """Of /v1/generate."""
    key = _key(options)
    return Call("generate", {"body": requests.generate_body(seeds, options), **key})


def invert(image: bytes, options: InvertOptions) -> Call[Inverted]:
    """Of /v1/invert."""
    return Call("invert", {"body": requests.invert_body(image, options)})


def score(latents: Latents, model: str | None) -> Call[list[Scores]]:
    """Of /v1/score."""
    body = requests.read_score_body({"latents": latents, "model": model})
    return Call("score", {"body": body})


def directions(body: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Of /v1/directions."""
    return Call("directions", {"body": requests.read_directions_body(body)})


def models() -> Call[list[dict[str, Any]]]:
    """Of /v1/models."""
    return Call("models")


def submit(kind: str, request: Mapping[str, Any], key: str | None) -> Call[Job]:
    """Of POST /v1/jobs; with a key of its own, so that a retry does not submit twice."""
    if kind not in JOB_BODIES:
        raise requests.unknown_kind(kind, sorted(JOB_BODIES))
    envelope, read = JOB_BODIES[kind]
    body = envelope(kind=kind, request=read(request))
    return Call("submit_job", {"body": body, "idempotency_key": key or uuid.uuid4().hex})


def submit_edit(attribute: str | None, target: str | None, options: EditOptions) -> Call[Job]:
    """Of POST /v1/jobs for an edit."""
    key = options.get("idempotency_key") or uuid.uuid4().hex
    body = wire.EditJob(kind="edit", request=requests.edit_body(attribute, target, options))
    return Call("submit_job", {"body": body, "idempotency_key": key})


def job(job_id: str) -> Call[Job]:
    """Of GET /v1/jobs."""
    return Call("job", {"id": job_id})


def cancel(job_id: str) -> Call[Job]:
    """Of DELETE /v1/jobs; the second one is refused."""
    return Call("cancel_job", {"id": job_id}, is_repeatable=False)


def _key(options: EditOptions | GenerateOptions) -> dict[str, str]:
    key = options.get("idempotency_key")
    return {} if key is None else {"idempotency_key": key}
