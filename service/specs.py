"""Requests to specs: names become indices, defaults come from the card, bounds are checked.

A spec is plain data that a runner can execute without knowing any name. Every check raises an
ApiError that names the field and what it allows.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model_store import (
    DEFAULT_METHOD,
    MAX_MAGNITUDE,
    EditKnobs,
    InversionMode,
    ModelCard,
    Offers,
    PlanError,
    PlannedEdit,
    Space,
    Starts,
    class_labels,
    expect_order,
    inversion_spaces,
    latent_shape_in,
    modes_of,
    plan_by_method,
    z_of_seeds,
)
from service.errors import ApiError
from service.images import Encoding
from service.schema import (
    DirectionsBody,
    EditBody,
    EditImageBody,
    EditRequest,
    GenerateBody,
    InversionRequest,
    InvertBody,
    Latent,
    Output,
    ScoreBody,
    Source,
)


@dataclass(frozen=True)
class ServedCard:
    """A card with the tag that the runners load it by."""

    tag: str
    card: ModelCard
    offers: Offers  # what methods other than the default can do

    @property
    def attribute_names(self) -> list[str]:
        """Attribute names in index order."""
        return [attribute.name for attribute in self.card.attributes]


@dataclass(frozen=True)
class WalkSpec:
    """A start and the edits to walk from it; crosses to the ClassifierRunner as a dict."""

    tag: str
    start: Starts  # of one sample
    edits: tuple[PlannedEdit, ...]
    seed: int | None = None  # for the receipt

    def as_payload(self) -> dict[str, Any]:
        """Plain dict of plain values and arrays."""
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "WalkSpec":
        """The spec on the other side of the process border."""
        edits = tuple(PlannedEdit(**edit) for edit in payload["edits"])
        return cls(**{**payload, "start": Starts(**payload["start"]), "edits": edits})

    @property
    def max_frames(self) -> int:
        """Largest number of frames that this walk can have."""
        return 1 + sum(edit.steps for edit in self.edits)

    @property
    def is_by_default(self) -> bool:
        """Whether all edits are by the default method, whose walks go together."""
        return all(edit.method == DEFAULT_METHOD for edit in self.edits)


@dataclass(frozen=True)
class InversionSpec:
    """An image whose latent is wanted; crosses to the GeneratorRunner as a dict."""

    image: bytes  # of a file that nobody has looked into yet
    mode: InversionMode
    steps: int | None  # None: as many as the search takes by default
    space: Space
    align: bool
    max_error: float | None  # mean squared error of pixels in 0..1; None: no limit
    keeps_photo: bool  # for pasting back
    field: str  # of the request, for refusals


def choose_model(
    served: Sequence[ServedCard], name: str | None, field: str = "model"
) -> ServedCard:
    """The named model, or the first one."""
    if name is None:
        return served[0]
    for candidate in served:
        if name in (candidate.card.name, candidate.tag):
            return candidate
    names = [candidate.card.name for candidate in served]
    raise ApiError("unknown_model", f"model {name!r} is not served", field, names)


def walk_spec(served: ServedCard, body: EditBody) -> WalkSpec:
    """The walk that an edit request asks for."""
    start = start_of(served, body.source, truncation(served, body.truncation))
    edits = tuple(
        planned_edit(served, edit, f"edits[{index}].") for index, edit in enumerate(body.edits)
    )
    try:
        expect_order(edits)
    except PlanError as error:
        raise _refused(error, "") from error
    return WalkSpec(served.tag, start, edits, body.source.seed)


def start_of(served: ServedCard, source: Source, psi: float) -> Starts:
    """The one sample that an edit starts from."""
    _expect_one_start(source)
    if source.latent is None:
        _expect_no_space(source.space, "source.space")
    if source.image is not None:
        _labels(served, source.class_label, False, "source.")  # it must be one, as with a latent
        return Starts(truncation=psi)  # the latent is found first: photo_spec
    if source.seed is not None:
        return seed_starts(served, [source.seed], source.class_label, psi, "source.")
    assert source.latent is not None, "exactly one of three is given"
    latents = {"latent": source.latent}
    return latent_starts(served, latents, source.space, source.class_label, psi, "source.")


def photo_spec(served: ServedCard, body: EditBody) -> InversionSpec | None:
    """The inversion that an edit starts with; None for other sources."""
    knobs = body.inversion
    if body.source.image is None:
        for field, is_given in (
            ("inversion", knobs is not None),
            ("output.paste_back", body.output.paste_back),
        ):
            if is_given:
                raise ApiError("bad_request", "this is for source.image alone", field)
        return None
    return inversion_spec(
        served,
        body.source.image,
        knobs or InversionRequest(),
        "source.image",
        body.output.paste_back,
    )


def invert_spec(served: ServedCard, body: InvertBody) -> InversionSpec:
    """The inversion that an invert request asks for."""
    return inversion_spec(served, body.image, body.inversion, "image")


def inversion_spec(
    served: ServedCard,
    image: str,  # base64
    knobs: InversionRequest,
    field: str,
    keeps_photo: bool = False,
) -> InversionSpec:
    """An inversion whose knobs the model allows; the image itself is looked into by the runner."""
    card = served.card
    modes, spaces = modes_of(card), inversion_spaces(card)
    if knobs.mode not in modes:
        message = f"model {card.name!r} has no encoder; run: gradctrl train-encoder {card.name}"
        raise ApiError("bad_request", message, "inversion.mode", modes)
    space = knobs.space or spaces[0]
    if space not in spaces:
        message = f"model {card.name!r} does not invert in {space}"
        raise ApiError("bad_request", message, "inversion.space", spaces)
    try:
        data = base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError("bad_image", f"not base64: {error}", field) from error
    limit = card.inversion.max_error if card.inversion is not None else None
    return InversionSpec(
        data,
        knobs.mode,
        knobs.steps,
        space,
        knobs.align,
        limit if knobs.max_error is None else knobs.max_error,
        keeps_photo,
        field,
    )


def generate_starts(served: ServedCard, body: GenerateBody) -> Starts:
    """The samples that a generate request asks for."""
    psi = truncation(served, body.truncation)
    if (body.seeds is None) == (body.latents is None):
        raise ApiError(
            "bad_request", "give exactly one of seeds, latents", "seeds", ["seeds", "latents"]
        )
    if body.seeds is not None:
        _expect_no_space(body.space, "space")
        return seed_starts(served, body.seeds, body.class_label, psi)
    latents = {f"latents[{index}]": values for index, values in enumerate(body.latents or [])}
    return latent_starts(served, latents, body.space, body.class_label, psi)


def score_starts(served: ServedCard, body: ScoreBody) -> Starts:
    """The latents that a score request asks about."""
    if not served.card.attributes:
        message = f"model {served.card.name!r} has no attributes"
        raise ApiError("unknown_attribute", message, "model", [])
    return latent_starts(
        served, {f"latents[{index}]": values for index, values in enumerate(body.latents)}
    )


def direction_spec(served: ServedCard, body: DirectionsBody) -> WalkSpec:
    """A walk of one edit, for its first direction."""
    edit = EditRequest(
        attribute=body.attribute,
        target=body.target,
        steps=1,
        exclude=body.exclude,
        layers=body.layers,
    )
    start = latent_starts(served, {"latent": body.latent})
    return WalkSpec(served.tag, start, (planned_edit(served, edit, ""),))


def seed_starts(
    served: ServedCard, seeds: Sequence[int], class_label: Any, psi: float, prefix: str = ""
) -> Starts:
    """Samples of seeds; `prefix` is where their fields lie in the request, such as `source.`."""
    labels = _labels(served, class_label, True, prefix)
    return Starts(z=z_of_seeds(served.card, seeds), labels=labels, truncation=psi)


def latent_starts(
    served: ServedCard,
    latents: Mapping[str, Latent],  # by field
    space: Space | None = None,
    class_label: Any = None,
    psi: float = 1.0,
    prefix: str = "",
) -> Starts:
    """Samples of latents; those in z of a model that edits elsewhere are mapped as seeds are."""
    card = served.card
    space = space or card.edit_space
    if space not in card.source_spaces:
        message = f"model {card.name!r} takes no latents in {space}"
        raise ApiError("bad_latent", message, f"{prefix}space", card.source_spaces)
    is_mapped = space == "z" != card.edit_space
    labels = _labels(served, class_label, is_mapped, prefix)
    values = np.stack(
        [_parse_latent(card, space, one, f"{prefix}{field}") for field, one in latents.items()]
    )
    if is_mapped:
        return Starts(z=values[:, 0], labels=labels, truncation=psi)
    return Starts(latents=np.broadcast_to(values, (len(values), *card.latent_shape)).copy())


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
    return Encoding(chosen, output.quality, output.size, output.frame_ms)


def image_encoding(body: EditImageBody) -> Encoding:
    """How to encode the final image, or all frames as an animation."""
    if body.animation and body.frames == "final":
        raise ApiError("bad_request", "an animation has all frames", "frames", ["all"])
    return encoding(body.output, body.animation)


def planned_edit(served: ServedCard, edit: EditRequest, prefix: str) -> PlannedEdit:
    """One edit by indices; `prefix` is where its fields lie in the request, such as `edits[0].`."""
    exclude = edit.exclude
    knobs = EditKnobs(
        edit.steps,
        edit.step_size,
        None if exclude is None else [(one.attribute, one.top_k) for one in exclude],
        edit.layers,
        None if edit.stop is None else edit.stop.probability,
    )
    try:
        return plan_by_method(
            served.card, served.offers, edit.method, edit.attribute, edit.target, knobs
        )
    except PlanError as error:
        raise _refused(error, prefix) from error


def _parse_latent(card: ModelCard, space: Space, values: Latent, field: str) -> np.ndarray:
    """Latent [L, C] float32 of [C] or [L][C] numbers; bad_latent says what is wrong."""
    layers, channels = latent_shape_in(card, space)
    expected = f"{channels} numbers" + (f", or {layers} x {channels}" if layers > 1 else "")
    others = _types_in(values) - {int, float}  # numpy reads "1", true and null as numbers too
    if others:
        names = ", ".join(sorted(one.__name__ for one in others))
        raise ApiError("bad_latent", f"a latent is {expected}, not {names}", field)
    try:
        latent = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ApiError("bad_latent", f"a latent is {expected}, not {error}", field) from error
    if latent.shape not in ((channels,), (layers, channels)):
        message = f"expected {expected} in {space}, got shape {list(latent.shape)}"
        raise ApiError("bad_latent", message, field)
    if not float(np.abs(latent).max()) <= MAX_MAGNITUDE:  # also catches NaN
        message = f"expected finite numbers within ±{MAX_MAGNITUDE:g}, got NaN or larger ones"
        raise ApiError("bad_latent", message, field)
    return np.broadcast_to(latent, (layers, channels)).astype(np.float32)


def _types_in(values: Latent) -> set[type]:
    """The types of a latent's numbers, in rows or not."""
    types = set(map(type, values))
    if list not in types:
        return types
    return (types - {list}).union(*(map(type, row) for row in values if isinstance(row, list)))


def _labels(
    served: ServedCard, class_label: Any, is_needed: bool, prefix: str
) -> np.ndarray | None:  # [1, c_dim]
    try:
        return class_labels(served.card, class_label, is_needed)
    except PlanError as error:
        raise _refused(error, prefix) from error


def _refused(error: PlanError, prefix: str) -> ApiError:
    return ApiError(error.code, str(error), f"{prefix}{error.field}", error.allowed)


def _expect_no_space(space: Space | None, field: str) -> None:
    if space is not None:
        raise ApiError("bad_request", "this is for latents alone; leave it out", field)


def _expect_one_start(source: Source) -> None:
    given = [name for name in ("seed", "latent", "image") if getattr(source, name) is not None]
    if len(given) != 1:
        raise ApiError(
            "bad_request",
            f"give exactly one of seed, latent, image; got {given or 'none'}",
            "source",
            ["seed", "latent", "image"],
        )
