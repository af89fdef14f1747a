"""The JSON answers of the API, as generated models, turned into results. Knows no transport."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradctrl_client.errors import error_of
from gradctrl_client.generated import models as wire
from gradctrl_client.generated.types import File
from gradctrl_client.results import (
    AppliedEdit,
    Edit,
    EditSummary,
    Frame,
    Generated,
    Inverted,
    Job,
    JobResult,
    Latent,
    Scores,
    decode_image,
    whole_edit,
)


def edit(answer: wire.EditBodyAnswer) -> Edit:
    """Of /v1/edit."""
    return whole_edit(edit_summary(answer), [frame(one) for one in answer.frames])


def edit_summary(answer: wire.EditBodyAnswer) -> EditSummary:
    """Of /v1/edit, less its frames."""
    return EditSummary(
        latent=_latent(answer.latent),
        space=answer.latent.space,
        edits=[_applied(one) for one in answer.edits],
        model=answer.model,
        request_id=answer.request_id,
        receipt=answer.receipt.to_dict(),
        timings_ms=answer.timings_ms.additional_properties,
        inversion=answer.inversion.to_dict() if answer.inversion else None,
    )


def event(name: str, data: dict[str, Any]) -> Frame | EditSummary | None:
    """Of an event of /v1/edit/stream; raises what an `error` says, None of any newer kind."""
    if name == "frame":
        return frame(wire.FrameAnswer.from_dict(data))
    if name == "summary":
        return edit_summary(wire.EditBodyAnswer.from_dict({**data, "frames": []}))
    if name == "error":
        raise error_of(**data["error"])
    return None


def frame(answer: wire.FrameAnswer) -> Frame:
    """Of a frame, in an answer or as an event."""
    encoded = base64.b64decode(answer.image)
    scores = answer.scores.to_dict()
    return Frame(decode_image(encoded), scores, answer.step, answer.edit, encoded)


def image(answer: File) -> bytes:
    """Of /v1/edit/image."""
    return answer.payload.read()


def generated(answer: wire.GenerateAnswer) -> Generated:
    """Of /v1/generate."""
    encoded = [base64.b64decode(one) for one in answer.images]
    latents = [_latent(one) for one in answer.latents]
    return Generated([decode_image(one) for one in encoded], latents, answer.model, encoded)


def inverted(answer: wire.InvertAnswer) -> Inverted:
    """Of /v1/invert."""
    encoded = base64.b64decode(answer.reconstruction)
    return Inverted(
        _latent(answer.latent),
        answer.latent.space,
        decode_image(encoded),
        answer.model,
        answer.inversion.to_dict(),
        encoded,
    )


def scores(answer: wire.ScoreAnswer) -> list[Scores]:
    """Of /v1/score."""
    return [one.to_dict() for one in answer.scores]


def directions(answer: wire.DirectionsAnswer) -> dict[str, Any]:
    """Of /v1/directions."""
    found = answer.to_dict()
    return {**found, "direction": np.array(found["direction"], np.float32)}


def models(answer: wire.ModelsAnswer) -> list[dict[str, Any]]:
    """Of /v1/models."""
    return [one.to_dict() for one in answer.models]


def job(answer: wire.JobAnswer) -> Job:
    """Of /v1/jobs."""
    refused = answer.error and answer.error.to_dict()
    return Job(
        answer.job_id,
        answer.kind,
        answer.state,
        answer.progress,
        answer.queue_position,
        _job_result(answer.kind, None if answer.result is None else answer.result.to_dict()),
        error_of(**refused) if refused else None,
    )


_JOB_RESULTS: dict[str, Callable[[Mapping[str, Any]], JobResult]] = {
    "edit": lambda result: edit(wire.EditBodyAnswer.from_dict(result)),
    "generate": lambda result: generated(wire.GenerateAnswer.from_dict(result)),
    "invert": lambda result: inverted(wire.InvertAnswer.from_dict(result)),
    "score": lambda result: scores(wire.ScoreAnswer.from_dict(result)),
    "directions": lambda result: directions(wire.DirectionsAnswer.from_dict(result)),
}


def _job_result(kind: str, result: Mapping[str, Any] | None) -> JobResult | None:
    return None if result is None else _JOB_RESULTS[kind](result)


def _latent(answer: wire.LatentAnswer) -> Latent:
    return np.array(answer.values, np.float32)


def _applied(answer: wire.EditAnswer) -> AppliedEdit:
    return AppliedEdit(
        answer.attribute,
        answer.target,
        answer.method,
        answer.reached,
        answer.steps_taken,
        [one.to_dict() for one in answer.masked],
        answer.masked_channels,
        answer.kept_norm,
    )
