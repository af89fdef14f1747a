"""The client's arguments turned into generated request models. Knows no transport.

Names of fields are checked here, because a generated model would drop an unknown one in silence;
everything else is checked by the service.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import numpy as np

from gradctrl_client.errors import BadRequestError, GradCtrlError, error_of
from gradctrl_client.generated import models as wire
from gradctrl_client.options import EditOptions, InvertOptions, SingleEdit

ITEMIZED = ("latents", "seeds")  # a refusal names the item
SOURCE_FIELDS = ("seed", "latent", "space", "class_label", "image")
INVERSION_FIELDS = ("mode", "steps", "space", "align", "max_error")
EDIT_FIELDS = tuple(SingleEdit.__annotations__)

Model = TypeVar("Model")


def edit_body(attribute: str | None, target: str | None, options: EditOptions) -> wire.EditBody:
    """The body of /v1/edit: one attribute, or the list `edits`."""
    given: dict[str, Any] = {
        name: value
        for name, value in options.items()
        if value is not None and name != "idempotency_key"
    }
    single = {name: given.pop(name) for name in EDIT_FIELDS if name in given}
    if attribute is not None or target is not None or "edits" not in given:
        if "edits" in given:
            raise TypeError("give attribute and target, or edits")
        given["edits"] = [{"attribute": attribute, "target": target, **single}]
    elif single:
        raise TypeError(f"{', '.join(single)} go into the items of edits")
    if "image" in given:
        given["image"] = base64.b64encode(given["image"]).decode()
    given["source"] = {name: given.pop(name) for name in SOURCE_FIELDS if name in given}
    return read_edit_body(given)


def invert_body(image: bytes, options: InvertOptions) -> wire.InvertBody:
    """The body of /v1/invert."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    knobs = {name: given.pop(name) for name in INVERSION_FIELDS if name in given}
    given["image"] = base64.b64encode(image).decode()
    return read_invert_body({**given, "inversion": knobs} if knobs else given)


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
    """Arrays, tuples and numpy numbers as JSON has them; it has no name for infinity."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise _not_finite(field)
        return value.tolist()
    if isinstance(value, float) and not np.isfinite(value):
        raise _not_finite(field)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        name = f"{field}[{{}}]" if field in ITEMIZED else field
        return [plain(one, name.format(index)) for index, one in enumerate(value)]
    return value


def _not_finite(field: str) -> GradCtrlError:
    code = "bad_latent" if "latent" in field else "bad_request"
    return error_of(code, "a number is not finite", field)


def _with_parts(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an edit body with their parts read."""
    return {
        **data,
        **_part(data, "source", lambda source, field: _read(wire.Source, source, field)),
        **_part(data, "edits", _read_edits),
        **_part(data, "output", _read_edit_output),
        **_part(data, "inversion", _read_inversion),
    }


def _read_edits(edits: Sequence[Mapping[str, Any]], field: str) -> list[wire.EditRequest]:
    return [_read_edit(one, f"{field}[{index}]") for index, one in enumerate(edits)]


def _read_edit(data: Mapping[str, Any], field: str) -> wire.EditRequest:
    parts = {
        **_part(data, "exclude", _read_exclude, field),
        **_part(data, "stop", lambda stop, place: _read(wire.StopRequest, stop, place), field),
    }
    return _read(wire.EditRequest, {**data, **parts}, field)


def _read_exclude(exclude: Sequence[Mapping[str, Any]], field: str) -> list[wire.ExcludeRequest]:
    return [
        _read(wire.ExcludeRequest, one, f"{field}[{index}]") for index, one in enumerate(exclude)
    ]


def _read_output(output: Mapping[str, Any], field: str) -> wire.Output:
    return _read(wire.Output, output, field)


def _read_edit_output(output: Mapping[str, Any], field: str) -> wire.EditOutput:
    return _read(wire.EditOutput, output, field)


def _read_inversion(inversion: Mapping[str, Any], field: str) -> wire.InversionRequest:
    return _read(wire.InversionRequest, inversion, field)


def _part(
    data: Mapping[str, Any], name: str, read: Callable[[Any, str], Any], field: str = ""
) -> dict[str, Any]:
    """A part of a request, read, where it is given."""
    value = data.get(name)
    return {} if value is None else {name: read(value, f"{field}.{name}".lstrip("."))}


def _read(model: type[Model], data: Mapping[str, Any], field: str = "") -> Model:
    """A generated model of the fields that are given; the service says what is missing."""
    fields = {one.name.rstrip("_"): one for one in attrs.fields(model)}  # type: ignore[arg-type]
    values: dict[str, Any] = {
        one.name: None for one in fields.values() if one.default is attrs.NOTHING
    }
    for name, value in data.items():
        place = f"{field}.{name}".lstrip(".")
        if name not in fields:
            message = f"no such field: {name}"
            raise BadRequestError("bad_request", message, place, sorted(fields))
        if value is not None:
            values[fields[name].name] = plain(value, place)
    return model(**values)
