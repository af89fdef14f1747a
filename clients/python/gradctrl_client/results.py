"""Answers of the service with images decoded."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

Scores = dict[str, dict[str, float]]  # attribute -> class -> probability


@dataclass(frozen=True)
class Frame:
    """One image of an edit; step 0 of edit 0 is the unedited one."""

    image: Image.Image
    scores: Scores
    step: int
    edit: int


@dataclass(frozen=True)
class AppliedEdit:
    """What one edit did."""

    attribute: str
    target: str
    reached: bool
    steps_taken: int
    masked: list[dict[str, Any]]
    masked_channels: int
    kept_norm: float


@dataclass(frozen=True)
class Edit:
    """The answer to an edit; `latent` can be the source of the next one."""

    frames: list[Frame]
    latent: list[Any]
    space: str
    edits: list[AppliedEdit]
    model: str
    request_id: str
    receipt: dict[str, Any]
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class Generated:
    """Images and the latents behind them."""

    images: list[Image.Image]
    latents: list[list[Any]]
    model: str


def decode_image(text: str) -> Image.Image:
    """A base64 image, loaded."""
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    image.load()
    return image


def parse_edit(answer: dict[str, Any]) -> Edit:
    """The JSON of /v1/edit."""
    return Edit(
        frames=[
            Frame(decode_image(frame["image"]), frame["scores"], frame["step"], frame["edit"])
            for frame in answer["frames"]
        ],
        latent=answer["latent"]["values"],
        space=answer["latent"]["space"],
        edits=[AppliedEdit(**edit) for edit in answer["edits"]],
        model=answer["model"],
        request_id=answer["request_id"],
        receipt=answer["receipt"],
        timings_ms=answer["timings_ms"],
    )


def parse_generated(answer: dict[str, Any]) -> Generated:
    """The JSON of /v1/generate."""
    return Generated(
        images=[decode_image(image) for image in answer["images"]],
        latents=[latent["values"] for latent in answer["latents"]],
        model=answer["model"],
    )
