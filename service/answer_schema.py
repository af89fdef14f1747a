"""Answers of the API: shapes and names. Knows nothing about tensors."""

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from model_store import (
    LATENT_STD,
    SIDE_EFFECTS,
    AttributeCard,
    InversionMode,
    MethodName,
    ModelCard,
    OnnxCard,
    SideEffect,
    Space,
)

Scores = dict[str, dict[str, float]]
Image = Annotated[  # bytes here, base64 in JSON
    bytes,
    PlainSerializer(lambda image: base64.b64encode(image).decode(), str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "base64"}),
]


class Answer(BaseModel):
    """Base of all answers: fields that have a default are sent as well."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class FrameAnswer(Answer):
    """One image of an edit; the first frame is step 0 of edit 0, unedited.

    Scores are those of the mean of the layers that this frame's edit moves; none of a frame whose
    styles were moved (stylespace), which the classifiers cannot read.
    """

    step: int
    edit: int
    image: Image
    scores: Scores


class LatentAnswer(Answer):
    """A latent that can be sent back as the next source.

    Without what edits by stylespace moved: they move styles. Repeat them to see them again.
    """

    space: str
    values: list[Any]


class Masked(Answer):
    """An exclusion that was applied."""

    attribute: str
    top_k: int


class EditAnswer(Answer):
    """What one edit did."""

    attribute: str
    target: str
    method: MethodName
    reached: bool | None = Field(
        description="whether the classifiers say so; null: they cannot read the styles that moved"
    )
    steps_taken: int
    masked: list[Masked]
    masked_channels: int
    kept_norm: float


class InversionErrors(Answer):
    """How far the reconstruction is from the image."""

    mse: float = Field(description="mean squared error of pixels in 0..1")
    psnr: float = Field(description="the same in decibels")
    perceptual: float | None = Field(
        description="relative squared distance of features; 0 is equal, about 2 unrelated"
    )
    perceptual_by: str = Field(description="whose features: discriminator, encoder or torchscript")
    identity: float | None = Field(
        description="1 less the distance of face descriptors: above 0.4 usually the same person; "
        "null where nothing can tell"
    )


class InversionAnswer(Answer):
    """How an image became a latent."""

    mode: InversionMode
    space: Space
    steps_taken: int
    errors: InversionErrors
    max_error: float | None = Field(description="above which it would have failed; null: no limit")
    aligned: bool = Field(description="whether the photo was cut around a face")
    seconds: float


class Receipt(Answer):
    """What is needed to get the same images again."""

    model_sha256: str
    seed: int | None
    noise: Literal["const"] = "const"
    version: str
    methods: list[MethodName] = Field(description="of each edit")


class EditSummary(Answer):
    """All of an edit but its frames; the last event of /v1/edit/stream."""

    request_id: str
    model: str
    latent: LatentAnswer
    edits: list[EditAnswer]
    receipt: Receipt
    timings_ms: dict[str, float]
    inversion: InversionAnswer | None = Field(
        default=None, description="how the image of the source became the first latent"
    )


class EditBodyAnswer(EditSummary):
    """Answer of /v1/edit."""

    frames: list[FrameAnswer]


class InvertAnswer(Answer):
    """Answer of /v1/invert."""

    request_id: str
    model: str
    latent: LatentAnswer
    reconstruction: Image
    inversion: InversionAnswer


class GenerateAnswer(Answer):
    """Answer of /v1/generate."""

    model: str
    images: list[Image]
    latents: list[LatentAnswer]


class ScoreAnswer(Answer):
    """Answer of /v1/score."""

    model: str
    scores: list[Scores]


class DirectionsAnswer(Answer):
    """Answer of /v1/directions: a unit direction in the edit space, masked and within its layers.

    One layer's worth, which is added to each layer of the range, or a list per layer where the
    model's heads read all layers (`heads_read` of its card).
    """

    model: str
    space: str
    direction: list[float] | list[list[float]]
    layers: tuple[int, int]
    masked: list[Masked]
    masked_channels: int
    kept_norm: float


class ServedAttribute(AttributeCard):
    """An attribute with all its fields, those too that stored cards leave out."""

    latent_std: float = Field(default=0.0, ge=0, description=LATENT_STD)
    side_effects: tuple[SideEffect, ...] = Field(default=(), description=SIDE_EFFECTS)


class ServedModel(ModelCard):
    """A card with its tag."""

    tag: str
    default: bool
    attributes: tuple[ServedAttribute, ...] = ()
    onnx: dict[str, OnnxCard] = Field(default={}, description="of its ONNX files, by name")
    methods: dict[MethodName, list[str]] = Field(
        description="what `edits[].method` can be, with the attributes that each can edit"
    )


class ModelsAnswer(Answer):
    """Answer of /v1/models."""

    models: list[ServedModel]


class ErrorDetail(BaseModel):
    """Why a request was refused; what has no value is left out."""

    code: str
    message: str
    field: str | None = None
    allowed: list[Any] | None = None


class ErrorAnswer(BaseModel):
    """Body of every 4xx and 5xx answer."""

    error: ErrorDetail
