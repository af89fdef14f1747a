"""Requests to specs: names become indices, defaults come from the card, bounds are checked.

A spec is plain data that a runner can execute without knowing any name. Every check raises an
ApiError that names the field and what it allows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model_store import ModelCard, PlanError, PlannedEdit, plan_edit
from service.errors import ApiError
from service.images import Encoding
from service.schema import EditBody, EditRequest, Latent, Output, Source


@dataclass(frozen=True)
class ServedCard:
    """A card with the tag that the runners load it by."""

    tag: str
    card: ModelCard

    @property
    def attribute_names(self) -> list[str]:
        """Attribute names in index order."""
        return [attribute.name for attribute in self.card.attributes]


@dataclass(frozen=True)
class WalkSpec:
    """A start and the edits to walk from it; crosses to the ClassifierRunner as a dict."""

    tag: str
    seed: int | None
    latent: np.ndarray | None  # [L, C], float32
    truncation: float
    edits: tuple[PlannedEdit, ...]

    def as_payload(self) -> dict[str, Any]:
        """Plain dict of plain values and arrays."""
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "WalkSpec":
        """The spec on the other side of the process border."""
        edits = tuple(PlannedEdit(**edit) for edit in payload["edits"])
        return cls(**{**payload, "edits": edits})

    @property
    def max_frames(self) -> int:
        """Largest number of frames that this walk can have."""
        return 1 + sum(edit.steps for edit in self.edits)


def choose_model(served: Sequence[ServedCard], name: str | None) -> ServedCard:
    """The named model, or the first one."""
    if name is None:
        return served[0]
    for candidate in served:
        if name in (candidate.card.name, candidate.tag):
            return candidate
    names = [candidate.card.name for candidate in served]
    raise ApiError("unknown_model", f"model {name!r} is not served", "model", names)


def walk_spec(served: ServedCard, body: EditBody) -> WalkSpec:
    """The walk that an edit request asks for."""
    seed, latent = _start(served, body.source)
    edits = tuple(
        planned_edit(served, edit, f"edits[{index}].") for index, edit in enumerate(body.edits)
    )
    return WalkSpec(served.tag, seed, latent, truncation(served, body.truncation), edits)


def direction_spec(served: ServedCard, latent: Latent, edit: EditRequest) -> WalkSpec:
    """A walk of one edit, for its first direction; fields are top-level here."""
    values = parse_latent(served, latent, "latent")
    return WalkSpec(served.tag, None, values, 1.0, (planned_edit(served, edit, ""),))


def truncation(served: ServedCard, requested: float | None) -> float:
    """Psi of the request, or the card's default."""
    return served.card.truncation if requested is None else requested


def encoding(output: Output, animation: bool = False) -> Encoding:
    """How to encode; an animation must be WebP or GIF, a still must not be GIF."""
    allowed = ["webp", "gif"] if animation else ["png", "jpeg", "webp"]
    chosen = output.format or ("webp" if animation else "png")
    if chosen not in allowed:
        kind = "an animation" if animation else "a still image"
        raise ApiError("bad_request", f"{kind} cannot be {chosen}", "output.format", allowed)
    return Encoding(chosen, output.quality, output.size)


def planned_edit(served: ServedCard, edit: EditRequest, prefix: str) -> PlannedEdit:
    """One edit by indices; `prefix` is where its fields lie in the request, such as `edits[0].`."""
    exclude = edit.exclude
    try:
        return plan_edit(
            served.card,
            edit.attribute,
            edit.target,
            edit.steps,
            edit.step_size,
            None if exclude is None else [(one.attribute, one.top_k) for one in exclude],
            edit.layers,
            None if edit.stop is None else edit.stop.probability,
        )
    except PlanError as error:
        raise ApiError(error.code, str(error), f"{prefix}{error.field}", error.allowed) from error


def expect_attributes(served: ServedCard) -> None:
    """Raise unless the model has attributes to score."""
    if not served.card.attributes:
        message = f"model {served.card.name!r} has no attributes"
        raise ApiError("unknown_attribute", message, "model", [])


def parse_latent(served: ServedCard, values: Latent, field: str) -> np.ndarray:
    """Latent [L, C] float32 of [d] or [L][d] numbers; bad_latent says what is wrong."""
    layers, channels = served.card.latent_shape
    expected = f"{channels} numbers" + (f", or {layers} x {channels}" if layers > 1 else "")
    try:
        latent = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ApiError("bad_latent", f"a latent is {expected}, not {error}", field) from error
    if latent.shape not in ((channels,), (layers, channels)):
        raise ApiError("bad_latent", f"expected {expected}, got shape {list(latent.shape)}", field)
    largest = float(np.abs(latent).max())
    if not math.isfinite(largest) or largest > float(np.finfo(np.float32).max):
        raise ApiError("bad_latent", "expected finite numbers, got NaN or infinity", field)
    return np.broadcast_to(latent, (layers, channels)).astype(np.float32)


def _start(served: ServedCard, source: Source) -> tuple[int | None, np.ndarray | None]:
    given = [name for name in ("seed", "latent", "image") if getattr(source, name) is not None]
    if len(given) != 1:
        raise ApiError(
            "bad_request",
            f"give exactly one of seed, latent, image; got {given or 'none'}",
            "source",
            ["seed", "latent", "image"],
        )
    if source.image is not None:
        raise ApiError(
            "bad_request",
            f"model {served.card.name!r} has no inversion",
            "source.image",
            ["seed", "latent"],
        )
    space = source.space or served.card.edit_space
    if source.latent is None:
        return source.seed, None
    if space not in served.card.spaces:
        raise ApiError(
            "bad_latent",
            f"model {served.card.name!r} takes no latents in {space}",
            "source.space",
            served.card.spaces,
        )
    return None, parse_latent(served, source.latent, "source.latent")
