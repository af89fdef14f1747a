"""Results to answers: indices become names again. The way up of answer_schema.py."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_store import PlannedEdit
from service.answer_schema import (
    DirectionsAnswer,
    EditAnswer,
    EditBodyAnswer,
    EditSummary,
    FrameAnswer,
    GenerateAnswer,
    InversionAnswer,
    InversionErrors,
    InvertAnswer,
    LatentAnswer,
    Masked,
    Receipt,
    ScoreAnswer,
    Scores,
)
from service.engine import Frame, Generated, Walked
from service.inverting import Inverted
from service.provenance import SERVICE_VERSION
from service.specs import InversionSpec, ServedCard, WalkSpec


def frame_answers(served: ServedCard, walked: Walked, frames: Sequence[Frame]) -> list[FrameAnswer]:
    """Rendered frames with their place in the walk and their scores."""
    places = frame_places(walked.reports)
    return [
        FrameAnswer(
            step=places[frame.index][1],
            edit=places[frame.index][0],
            image=frame.image,
            scores=_scores(served, walked.probabilities[frame.index]),
        )
        for frame in frames
    ]


def edit_summary(
    request_id: str,
    served: ServedCard,
    spec: WalkSpec,
    walked: Walked,
    timings_ms: dict[str, float],
) -> EditSummary:
    """All of an edit but its frames."""
    return EditSummary(
        request_id=request_id,
        model=served.tag,
        latent=_latent(served, walked.latents[-1]),
        edits=_edit_reports(served, spec, walked.reports),
        receipt=Receipt(
            model_sha256=served.card.files["generator.safetensors"],
            seed=spec.seed,
            version=SERVICE_VERSION,
            methods=[edit.method for edit in spec.edits],
        ),
        timings_ms={name: round(value, 3) for name, value in timings_ms.items()},
    )


def whole_edit(summary: EditSummary, frames: Sequence[FrameAnswer]) -> EditBodyAnswer:
    """The answer of /v1/edit from what a stream sends."""
    fields = {name: getattr(summary, name) for name in EditSummary.model_fields}
    return EditBodyAnswer.model_construct(**fields, frames=list(frames))


def summary_of(answer: EditBodyAnswer) -> EditSummary:
    """The answer without its frames."""
    fields = {name: getattr(answer, name) for name in EditSummary.model_fields}
    return EditSummary.model_construct(**fields)


def frame_places(reports: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    """(edit, step) of every frame of the walk; the first is (0, 0), unedited."""
    places = [(0, 0)]
    for index, report in enumerate(reports):
        places += [(index, step) for step in range(1, report["steps_taken"] + 1)]
    return places


def generate_answer(served: ServedCard, generated: Generated) -> GenerateAnswer:
    """The answer of /v1/generate."""
    return GenerateAnswer(
        model=served.tag,
        images=generated.images,
        latents=[_latent(served, latent) for latent in generated.latents],
    )


def invert_answer(
    request_id: str, served: ServedCard, spec: InversionSpec, inverted: Inverted
) -> InvertAnswer:
    """The answer of /v1/invert."""
    return InvertAnswer(
        request_id=request_id,
        model=served.tag,
        latent=_latent(served, inverted.latents[0]),
        reconstruction=inverted.reconstruction,
        inversion=inversion_answer(spec, inverted),
    )


def inversion_answer(spec: InversionSpec, inverted: Inverted) -> InversionAnswer:
    """How an image became a latent."""
    return InversionAnswer(
        mode=spec.mode,
        space=spec.space,
        steps_taken=inverted.steps_taken,
        errors=InversionErrors(**inverted.errors),
        max_error=spec.max_error,
        aligned=inverted.is_aligned,
        seconds=round(inverted.seconds, 4),
    )


def score_answer(served: ServedCard, probabilities: np.ndarray) -> ScoreAnswer:
    """The answer of /v1/score."""
    return ScoreAnswer(model=served.tag, scores=[_scores(served, one) for one in probabilities])


def directions_answer(
    served: ServedCard, spec: WalkSpec, found: dict[str, object]
) -> DirectionsAnswer:
    """The answer of /v1/directions."""
    direction = found["direction"]
    assert isinstance(direction, np.ndarray)
    if served.card.heads_read == "all_layers":
        direction = direction.reshape(served.card.latent_shape)
    return DirectionsAnswer(
        model=served.tag,
        space=served.card.edit_space,
        direction=direction.tolist(),
        layers=spec.edits[0].layers,
        masked=_masked(served, spec.edits[0]),
        masked_channels=found["masked_channels"],
        kept_norm=found["kept_norm"],
    )


def _edit_reports(
    served: ServedCard, spec: WalkSpec, reports: Sequence[dict[str, Any]]
) -> list[EditAnswer]:
    answers = []
    for edit, report in zip(spec.edits, reports, strict=True):
        attribute = served.card.attributes[edit.attribute]
        answers.append(
            EditAnswer(
                attribute=attribute.name,
                target=attribute.classes[edit.target],
                method=edit.method,
                masked=_masked(served, edit),
                **report,
            )
        )
    return answers


def _masked(served: ServedCard, edit: PlannedEdit) -> list[Masked]:
    return [Masked(attribute=name, top_k=k) for name, k in edit.masked(served.card)]


def _scores(served: ServedCard, probabilities: np.ndarray) -> Scores:  # [A, K]
    """By names; none of a frame that the heads cannot read."""
    if np.isnan(probabilities).any():
        return {}
    return {
        attribute.name: {
            name: float(probability)
            for name, probability in zip(attribute.classes, row, strict=False)  # padded to K
        }
        for attribute, row in zip(served.card.attributes, probabilities, strict=True)
    }


def _latent(served: ServedCard, latent: np.ndarray) -> LatentAnswer:  # [L, C]
    values = latent[0] if served.card.edit_space == "z" else latent
    return LatentAnswer(space=served.card.edit_space, values=values.tolist())
