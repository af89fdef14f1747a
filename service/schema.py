"""Requests of the API: shapes, bounds and names. Knows nothing about tensors."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from model_store import MAX_STEP_SIZE, MAX_STEPS, InversionMode, MethodName, Space
from service.images import FRAME_MS, ImageFormat

MAX_EDITS = 8
MAX_IMAGES = 64
MAX_SEED = 2**32 - 1  # numpy's legacy generator, as in NVIDIA's scripts
MAX_SIZE = 1024
MAX_INVERSION_STEPS = 500
LATENT_FIELD = "[d], or [num_ws][d] in w_plus"
SPACE_FIELD = "space of a latent; default: the one the model edits in"
TRUNCATION_FIELD = "psi, for seeds and for z of models that edit in w_plus; default: the card's"
CLASS_FIELD = "class 0..c_dim-1, or c_dim numbers; for seeds and z of conditional models"


class Request(BaseModel):
    """Base of all requests: unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _example(**body: Any) -> ConfigDict:
    """A config with an example for the API reference."""
    return ConfigDict(json_schema_extra={"examples": [body]})


Seed = Annotated[int, Field(ge=0, le=MAX_SEED, strict=True)]
Truncation = Annotated[float, Field(ge=0, le=1, strict=True, description=TRUNCATION_FIELD)]
Layer = Annotated[int, Field(strict=True)]
Latent = list[Any]  # numbers are checked in specs.py, which can say bad_latent
ClassLabel = Annotated[  # checked against the card, which can say what the model allows
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "array", "items": {"type": "number"}},
                {"type": "null"},
            ],
        }
    ),
]


class Source(Request):
    """Where an edit starts: exactly one of seed, latent, image."""

    seed: Seed | None = None
    latent: Latent | None = Field(default=None, description=LATENT_FIELD)
    space: Space | None = Field(default=None, description=SPACE_FIELD)
    class_label: ClassLabel = Field(default=None, description=CLASS_FIELD)
    image: str | None = Field(
        default=None, description="base64 PNG, JPEG or WebP; is inverted first, see inversion"
    )


class ExcludeRequest(Request):
    """An attribute to protect and how many of its most salient channels to mask."""

    attribute: str
    top_k: int = Field(ge=0, strict=True)


Excludes = Annotated[list[ExcludeRequest], Field(fail_fast=True)]  # or a million errors


class StopRequest(Request):
    """Stop as soon as the target has this probability."""

    probability: float = Field(gt=0, lt=1, strict=True)


class EditRequest(Request):
    """One attribute edit; null or missing fields take the defaults of the model card or the method.

    What a method cannot honour is refused: see docs/api.md, Methods.
    """

    attribute: str
    target: str
    steps: int | None = Field(default=None, ge=0, le=MAX_STEPS, strict=True)
    step_size: float | None = Field(
        default=None,
        gt=0,
        le=MAX_STEP_SIZE,
        strict=True,
        description="L2 length in latent units; of stylespace, standard deviations of a channel",
    )
    exclude: Excludes | None = None
    layers: tuple[Layer, Layer] | None = Field(default=None, description="half-open [from, to)")
    stop: StopRequest | None = None
    method: MethodName = Field(
        default="gradctrl", description="others where the model has them: `methods` of /v1/models"
    )


class InversionRequest(Request):
    """How the latent of an image is found, from fast and rough to slow and close."""

    mode: InversionMode = Field(
        default="optimize",
        description="encoder: one guess; optimize: a search from it; pivotal: then the generator "
        "is tuned to the image, for this request's images alone",
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=MAX_INVERSION_STEPS,
        strict=True,
        description="of the search, at most",
    )
    space: Space | None = Field(
        default=None, description="w or w_plus (default) of a StyleGAN, z of a DCGAN"
    )
    align: bool = Field(
        default=True, strict=True, description="cut the photo around its face, for models of faces"
    )
    max_error: float | None = Field(
        default=None,
        gt=0,
        le=1,
        strict=True,
        description="inversion_failed above this mean squared error of pixels in 0..1; "
        "default: the card's",
    )


class Output(Request):
    """How images are encoded."""

    format: ImageFormat | None = Field(
        default=None, description="default: png, or webp for an animation"
    )
    quality: int = Field(default=90, ge=1, le=100, strict=True)
    size: int | None = Field(
        default=None, ge=8, le=MAX_SIZE, strict=True, description="pixels per side"
    )
    frame_ms: int = Field(
        default=FRAME_MS,
        ge=20,
        le=5000,
        strict=True,
        description="time of one frame of an animation",
    )


class EditOutput(Output):
    """How the images of an edit are encoded."""

    paste_back: bool = Field(
        default=False,
        strict=True,
        description="put edited squares back into the photo of the source, with soft borders",
    )


class EditBody(Request):
    """POST /v1/edit."""

    model_config = _example(
        source={"seed": 7},
        edits=[{"attribute": "smile", "target": "smiling", "steps": 4, "exclude": []}],
    )

    model: str | None = Field(default=None, description="default: the first served model")
    source: Source
    edits: list[EditRequest] = Field(min_length=1, max_length=MAX_EDITS)
    truncation: Truncation | None = None
    frames: Literal["all", "final"] = "all"
    output: EditOutput = EditOutput()
    inversion: InversionRequest | None = Field(
        default=None, description="for source.image alone; default: optimize"
    )


class EditImageBody(EditBody):
    """POST /v1/edit/image."""

    animation: bool = Field(
        default=False, strict=True, description="all frames as one animated WebP or GIF"
    )


class InvertBody(Request):
    """POST /v1/invert."""

    model_config = _example(image="iVBORw0KGgo=", inversion={"mode": "optimize", "steps": 60})

    model: str | None = None
    image: str = Field(description="base64 PNG, JPEG or WebP")
    inversion: InversionRequest = InversionRequest()
    output: Output = Output()


class GenerateBody(Request):
    """POST /v1/generate: seeds or latents."""

    model_config = _example(seeds=[7, 8], truncation=0.7)

    model: str | None = None
    seeds: list[Seed] | None = Field(default=None, min_length=1, max_length=MAX_IMAGES)
    latents: list[Latent] | None = Field(default=None, min_length=1, max_length=MAX_IMAGES)
    space: Space | None = Field(default=None, description=SPACE_FIELD)
    class_label: ClassLabel = Field(default=None, description=CLASS_FIELD)
    truncation: Truncation | None = None
    output: Output = Output()


class ScoreBody(Request):
    """POST /v1/score: latents of the edit space, all layers read."""

    model: str | None = None
    latents: list[Latent] = Field(min_length=1, max_length=1024)


class DirectionsBody(Request):
    """POST /v1/directions: a latent of the edit space."""

    model: str | None = None
    latent: Latent
    attribute: str
    target: str
    exclude: Excludes | None = None
    layers: tuple[Layer, Layer] | None = None
