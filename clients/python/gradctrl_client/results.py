"""What the client answers: images decoded, latents as arrays. Knows nothing about transports."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gradctrl_client.errors import GradCtrlError

Scores = dict[str, dict[str, float]]  # attribute -> class -> probability
Latent = NDArray[np.float32]  # [d], or [num_ws, d] in w_plus


@dataclass(frozen=True)
class Frame:
    """One image of an edit; step 0 of edit 0 is the unedited one."""

    image: Image.Image
    scores: Scores
    step: int
    edit: int
    encoded: bytes  # the image as the service encoded it


@dataclass(frozen=True)
class AppliedEdit:
    """What one edit did."""

    attribute: str
    target: str
    method: str
    reached: bool | None  # None: styles were moved, which the classifiers cannot read
    steps_taken: int
    masked: list[dict[str, Any]]
    masked_channels: int
    kept_norm: float


@dataclass(frozen=True, eq=False, kw_only=True)
class EditSummary:
    """All of an edit but its frames; `latent` can be the source of the next one.

    The latent is without what edits by "stylespace" moved, which are styles.
    """

    latent: Latent
    space: str
    edits: list[AppliedEdit]
    model: str
    request_id: str
    receipt: dict[str, Any]
    timings_ms: dict[str, float]
    inversion: dict[str, Any] | None = None  # how the image of the source became a latent


@dataclass(frozen=True, eq=False, kw_only=True)
class Edit(EditSummary):
    """The answer to an edit."""

    frames: list[Frame]


@dataclass(frozen=True, eq=False)
class Generated:
    """Images and the latents behind them."""

    images: list[Image.Image]
    latents: list[Latent]
    model: str
    encoded: list[bytes]  # the images as the service encoded them


@dataclass(frozen=True, eq=False)
class Inverted:
    """The latent of an image; it can be the source of edits and of further requests."""

    latent: Latent
    space: str
    reconstruction: Image.Image  # what the latent gives
    model: str
    report: dict[str, Any]  # mode, steps taken, errors, and whether a face was cut out
    encoded: bytes  # the reconstruction as the service encoded it


JobResult = Edit | Generated | Inverted | list[Scores] | dict[str, Any]


@dataclass(frozen=True, eq=False)
class Job:
    """Where a job stands; `result` is what the direct call would have answered."""

    job_id: str
    kind: str
    state: str  # queued, running, done, failed, cancelled
    progress: float
    queue_position: int | None  # 0 is the next one
    result: JobResult | None
    error: GradCtrlError | None

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")


def decode_image(encoded: bytes) -> Image.Image:
    """An encoded image, loaded."""
    image = Image.open(io.BytesIO(encoded))
    image.load()
    return image


def whole_edit(summary: EditSummary, frames: list[Frame]) -> Edit:
    """The answer that a stream adds up to."""
    return Edit(frames=frames, **vars(summary))
