"""Answer models as gRPC messages: the way up of rpc_requests.py."""

from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format

from service.answer_schema import (
    EditAnswer,
    EditBodyAnswer,
    EditSummary,
    FrameAnswer,
    GenerateAnswer,
    InversionAnswer,
    InvertAnswer,
    LatentAnswer,
    ModelsAnswer,
    Receipt,
    ScoreAnswer,
    Scores,
    ServedModel,
)
from service.inverting import InversionProgress
from service.wire import edit_pb2 as wire


def edit_response(answer: EditBodyAnswer) -> wire.EditResponse:
    """The answer of Edit."""
    return wire.EditResponse(
        frames=[frame_message(frame) for frame in answer.frames], **_summary(answer)
    )


def stream_response(event: FrameAnswer | EditSummary) -> wire.EditStreamResponse:
    """One event of EditStream."""
    if isinstance(event, FrameAnswer):
        return wire.EditStreamResponse(frame=frame_message(event))
    return wire.EditStreamResponse(summary=wire.EditSummary(**_summary(event)))


def generate_response(answer: GenerateAnswer) -> wire.GenerateResponse:
    """The answer of Generate."""
    return wire.GenerateResponse(
        model=answer.model,
        images=answer.images,
        latents=[_latent(latent) for latent in answer.latents],
        space=answer.latents[0].space,
    )


def invert_response(event: InversionProgress | InvertAnswer) -> wire.InvertResponse:
    """One event of Invert."""
    if isinstance(event, InversionProgress):
        progress = wire.InvertProgress(step=event.step, steps=event.steps, error=event.error)
        return wire.InvertResponse(progress=progress)
    result = wire.InvertResult(
        request_id=event.request_id,
        model=event.model,
        latent=_latent(event.latent),
        space=event.latent.space,
        reconstruction=event.reconstruction,
        error=event.inversion.errors.mse,
        inversion=_inversion(event.inversion),
    )
    return wire.InvertResponse(result=result)


def score_response(answer: ScoreAnswer) -> wire.ScoreResponse:
    """The answer of Score."""
    scores = [wire.AttributeScores(attributes=_scores(one)) for one in answer.scores]
    return wire.ScoreResponse(model=answer.model, scores=scores)


def models_response(answer: ModelsAnswer) -> wire.ListModelsResponse:
    """The answer of ListModels."""
    return wire.ListModelsResponse(models=[_model(model) for model in answer.models])


def frame_message(frame: FrameAnswer) -> wire.Frame:
    """One image of an edit."""
    return wire.Frame(
        step=frame.step, edit=frame.edit, image=frame.image, scores=_scores(frame.scores)
    )


def _summary(answer: EditSummary) -> dict[str, Any]:
    return {
        "request_id": answer.request_id,
        "model": answer.model,
        "latent": _latent(answer.latent),
        "space": answer.latent.space,
        "edits": [_report(edit) for edit in answer.edits],
        "receipt": _receipt(answer.receipt),
        "timings_ms": answer.timings_ms,
        "inversion": None if answer.inversion is None else _inversion(answer.inversion),
    }


def _latent(latent: LatentAnswer) -> wire.Latent:
    values: Sequence[Any] = latent.values
    if not isinstance(values[0], list):
        return wire.Latent(values=values)
    return wire.Latent(values=[number for row in values for number in row], num_ws=len(values))


def _scores(scores: Scores) -> dict[str, wire.ClassScores]:
    return {name: wire.ClassScores(classes=classes) for name, classes in scores.items()}


def _report(edit: EditAnswer) -> wire.EditReport:
    return wire.EditReport(
        attribute=edit.attribute,
        target=edit.target,
        method=edit.method,
        reached=edit.reached,
        steps_taken=edit.steps_taken,
        masked=[wire.Exclusion(attribute=one.attribute, top_k=one.top_k) for one in edit.masked],
        masked_channels=edit.masked_channels,
        kept_norm=edit.kept_norm,
    )


def _inversion(inversion: InversionAnswer) -> wire.InversionReport:
    return wire.InversionReport(
        mode=inversion.mode,
        space=inversion.space,
        steps_taken=inversion.steps_taken,
        errors=wire.InversionErrors(**inversion.errors.model_dump()),
        max_error=inversion.max_error,
        aligned=inversion.aligned,
        seconds=inversion.seconds,
    )


def _receipt(receipt: Receipt) -> wire.Receipt:
    return wire.Receipt(
        model_sha256=receipt.model_sha256,
        seed=receipt.seed,
        noise=receipt.noise,
        version=receipt.version,
        methods=receipt.methods,
    )


def _model(model: ServedModel) -> wire.Model:
    """The card field by field; a test holds that every field has its place."""
    card = model.model_dump(mode="json")
    for attribute in card["attributes"]:
        if (layers := attribute["defaults"]["layers"]) is not None:
            attribute["defaults"]["layers"] = {"start": layers[0], "end": layers[1]}
    card["methods"] = {name: {"names": names} for name, names in card["methods"].items()}
    return json_format.ParseDict(card, wire.Model(), ignore_unknown_fields=True)
