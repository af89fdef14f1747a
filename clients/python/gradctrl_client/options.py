"""The keyword arguments of the client's methods, which are the fields of the REST API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

LatentLike = NDArray[Any] | Sequence[Any]  # [d], or [num_ws, d] in w_plus
Latents = NDArray[Any] | Sequence[LatentLike]
Number = int | np.integer[Any]


class CommonOptions(TypedDict, total=False):
    """What edits and generated images share; None is the same as left out."""

    model: str | None  # name or tag; default: the first served model
    space: str | None  # of a latent: z, w, w_plus; default: the one the model edits in
    class_label: int | Sequence[float] | None  # for seeds and z of conditional models
    truncation: float | None
    output: Mapping[str, Any] | None  # format, quality, size, frame_ms; of edits paste_back


class SingleEdit(TypedDict, total=False):
    """How one attribute is edited; the model's card has the defaults."""

    steps: Number | None
    step_size: float | None
    exclude: Sequence[Mapping[str, Any]] | None  # of {"attribute", "top_k"}; empty protects none
    layers: Sequence[int] | None  # half-open [from, to)
    stop: Mapping[str, float] | None  # {"probability": p}
    method: str | None  # default: "gradctrl"; `methods` of models() says what there is


class StreamOptions(CommonOptions, SingleEdit, total=False):
    """Of a streamed edit: a source, and one attribute or a list of `edits` as in the REST API."""

    seed: Number | None
    latent: LatentLike | None
    image: bytes | None  # an encoded image; is inverted first
    inversion: Mapping[str, Any] | None  # mode, steps, space, align, max_error; of an image
    edits: Sequence[Mapping[str, Any]] | None
    frames: str | None  # "all" or "final"


class EditOptions(StreamOptions, total=False):
    """Of an edit, whose whole answer the service can keep for a retry."""

    idempotency_key: str | None


class InvertOptions(TypedDict, total=False):
    """Of an inversion; what is left out or None is the default."""

    model: str | None  # name or tag; default: the first served model
    mode: str | None  # encoder, optimize or pivotal
    steps: Number | None  # of the search, at most
    space: str | None  # w or w_plus of a StyleGAN, z of a DCGAN
    align: bool | None  # cut the photo around its face, for models of faces
    max_error: float | None  # refused above this mean squared error of pixels in 0..1
    output: Mapping[str, Any] | None  # of the reconstruction: format, quality, size


class GenerateOptions(CommonOptions, total=False):
    """Of generated images: seeds or latents."""

    latents: Latents | None
    idempotency_key: str | None
