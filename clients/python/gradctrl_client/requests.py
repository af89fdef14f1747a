"""The client's arguments turned into generated request models. Knows no transport.

Names of fields are checked here, because a generated model would drop an unknown one in silence;
everything else is checked by the service.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import numpy as np

from gradctrl_client.errors import BadRequestError, GradCtrlError, error_of
from gradctrl_client.generated import models as wire
from gradctrl_client.options import (
    EditOptions,
    GenerateOptions,
    InvertOptions,
    SingleEdit,
    StreamOptions,
)

ITEMIZED = ("latents", "seeds")  # a refusal names the item
SOURCE_FIELDS = ("seed", "latent", "space", "class_label", "image")
INVERSION_FIELDS = ("mode", "steps", "space", "align", "max_error")
EDIT_FIELDS = tuple(SingleEdit.__annotations__)

Model = TypeVar("Model")


def edit_body(
    attribute: str | None,
    target: str | None,
    options: EditOptions | StreamOptions,
    kind: type[StreamOptions] = EditOptions,  # the names that are known
) -> wire.EditBody:
    """The body of /v1/edit: one attribute, or the list `edits`."""
    given = _given(options, kind, "attribute", "target")
    single = {name: given.pop(name) for name in EDIT_FIELDS if name in given}
    if attribute is not None or target is not None or "edits" not in given:
        if "edits" in given:
            raise TypeError("give attribute and target, or edits")
        given["edits"] = [{"attribute": attribute, "target": target, **single}]
    elif single:
        raise TypeError(f"{', '.join(single)} go into the items of edits")
    given["source"] = {name: given.pop(name) for name in SOURCE_FIELDS if name in given}
    return read_edit_body(given)


def invert_body(image: bytes, options: InvertOptions) -> wire.InvertBody:
    """The body of /v1/invert."""
    given = {**_given(options, InvertOptions, "image"), "image": image}
    knobs = {name: given.pop(name) for name in INVERSION_FIELDS if name in given}
    return read_invert_body({**given, "inversion": knobs} if knobs else given)


def generate_body(seeds: Any, options: GenerateOptions) -> wire.GenerateBody:
    """The body of /v1/generate."""
    return read_generate_body({**_given(options, GenerateOptions, "seeds"), "seeds": seeds})


def read_invert_body(data: Mapping[str, Any]) -> wire.InvertBody:
    """The body of /v1/invert from its JSON form."""
    parts = {
        **_part(data, "inversion", _read_inversion),
        **_part(data, "output", _read_output),
    }
    return _read(wire.InvertBody, {**data, **parts})


def read_edit_body(data: Mapping[str, Any]) -> wire.EditBody:
    """The body of /v1/edit from its JSON form."""
    return _read(wire.EditBody, _with_parts(data))


def read_edit_image_body(data: Mapping[str, Any]) -> wire.EditImageBody:
    """The body of /v1/edit/image from its JSON form."""
    return _read(wire.EditImageBody, _with_parts(data))


def read_generate_body(data: Mapping[str, Any]) -> wire.GenerateBody:
    """The body of /v1/generate from its JSON form."""
    return _read(wire.GenerateBody, {**data, **_part(data, "output", _read_output)})


def read_score_body(data: Mapping[str, Any]) -> wire.ScoreBody:
    """The body of /v1/score from its JSON form."""
    return _read(wire.ScoreBody, data)


def read_directions_body(data: Mapping[str, Any]) -> wire.DirectionsBody:
    """The body of /v1/directions from its JSON form."""
    return _read(wire.DirectionsBody, {**data, **_part(data, "exclude", _read_exclude)})


def unknown_kind(kind: str, kinds: Sequence[str]) -> GradCtrlError:
    """The refusal of a job of no known kind."""
    return BadRequestError("bad_request", f"no such kind of job: {kind}", "kind", kinds)


def plain(value: Any, field: str) -> Any:
    """Arrays, tuples, numpy numbers and bytes as JSON has them; it has no name for infinity."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise _not_finite(field)
        return value.tolist()
    if isinstance(value, float) and not np.isfinite(value):
        raise _not_finite(field)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Sequence) and not isinstance(value, str):
        name = f"{field}[{{}}]" if field in ITEMIZED else field
        return [plain(one, name.format(index)) for index, one in enumerate(value)]
    return value


def _not_finite(field: str) -> GradCtrlError:
    code = "bad_latent" if "latent" in field else "bad_request"
    return error_of(code, "a number is not finite", field)


def _given(options: Mapping[str, Any], kind: Any, *others: str) -> dict[str, Any]:
    """The fields of a request among a method's options; `others` are its further arguments."""
    known = (*others, *kind.__annotations__)
    for name in options:
        if name not in known:
            raise _unknown("option", name, name, known)
    return {
        name: value
        for name, value in options.items()
        if value is not None and name != "idempotency_key"
    }


def _unknown(what: str, name: str, field: str, known: Iterable[str]) -> GradCtrlError:
    return BadRequestError("bad_request", f"no such {what}: {name}", field, sorted(known))


def _with_parts(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an edit body with their parts read."""
    return {
        **data,
        **_part(data, "source", lambda source, field: _read(wire.Source, source, field)),
        **_part(data, "edits", _read_edits),
        **_part(data, "output", _read_edit_output),
        **_part(data, "inversion", _read_inversion),
    }


def _read_edits(edits: Any, field: str) -> list[wire.EditRequest]:
    return [_read_edit(one, place) for place, one in _items(edits, field)]


def _read_edit(data: Any, field: str) -> wire.EditRequest:
    _expect_object(wire.EditRequest, data, field)
    parts = {
        **_part(data, "exclude", _read_exclude, field),
        **_part(data, "stop", lambda stop, place: _read(wire.StopRequest, stop, place), field),
    }
    return _read(wire.EditRequest, {**data, **parts}, field)


def _read_exclude(exclude: Any, field: str) -> list[wire.ExcludeRequest]:
    return [_read(wire.ExcludeRequest, one, place) for place, one in _items(exclude, field)]


def _read_output(output: Any, field: str) -> wire.Output:
    return _read(wire.Output, output, field)


def _read_edit_output(output: Any, field: str) -> wire.EditOutput:
    return _read(wire.EditOutput, output, field)


def _read_inversion(inversion: Any, field: str) -> wire.InversionRequest:
    return _read(wire.InversionRequest, inversion, field)


def _part(
    data: Mapping[str, Any], name: str, read: Callable[[Any, str], Any], field: str = ""
) -> dict[str, Any]:
    """A part of a request, read, where it is given."""
    value = data.get(name)
    return {} if value is None else {name: read(value, f"{field}.{name}".lstrip("."))}


def _items(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    """The items of a list, each with its place in the request."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise BadRequestError("bad_request", f"expected a list, got {value!r}", field)
    return ((f"{field}[{index}]", one) for index, one in enumerate(value))


def _fields(model: type[Any]) -> dict[str, Any]:
    """The attributes of a generated model by their names in the API."""
    return {one.name.rstrip("_"): one for one in attrs.fields(model)}


def _expect_object(model: type[Any], data: Any, field: str) -> None:
    if not isinstance(data, Mapping):
        names = sorted(_fields(model))
        message = f"expected a mapping of {', '.join(names)}; got {data!r}"
        raise BadRequestError("bad_request", message, field or "body", names)


def _read(model: type[Model], data: Any, field: str = "") -> Model:
    """A generated model of the fields that are given; the service says what is missing."""
    _expect_object(model, data, field)
    fields = _fields(model)
    values: dict[str, Any] = {
        one.name: None for one in fields.values() if one.default is attrs.NOTHING
    }
    for name, value in data.items():
        place = f"{field}.{name}".lstrip(".")
        if name not in fields:
            raise _unknown("field", name, place, fields)
        if value is not None:
            values[fields[name].name] = plain(value, place)
    return model(**values)
