"""Schema violations as ApiErrors: the field and what it allows. Knows no transport."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.errors import ApiError

MAX_PARTS = 100_000  # arrays, objects and fields of JSON; 1024 latents of 26 layers: 28,000
SHOWN = 80  # characters of a refused value
BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "multiple_of")

Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], data: Mapping[str, Any]) -> Model:
    """The request model of plain values; raises the ApiError that REST would answer."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise violation(error.errors()) from error


def expect_shallow(text: bytes, field: str) -> None:
    """ApiError for JSON of more parts than any request has: parsing them would take seconds.

    Numbers in a row and long texts are cheap. Brackets within texts count too; base64 has none.
    """
    parts = sum(text.count(one) for one in (b"[", b"{", b":"))
    if parts > MAX_PARTS:
        message = f"the {field} has at most {MAX_PARTS} arrays, objects and fields; got {parts}"
        raise ApiError("bad_request", message, field, [0, MAX_PARTS])


def violation(
    errors: Sequence[Any], skipped: int = 0, tags: Sequence[str] = ()
) -> ApiError:  # errors of pydantic
    """The first violation; `skipped` parts of its place, and union `tags`, are not the client's."""
    first = errors[0]
    if first["type"] == "json_invalid":  # its place is a number of characters
        return ApiError("bad_request", _message(first), "body")
    place = [part for part in first["loc"][skipped:] if part not in tags]
    if first["type"].startswith("union_tag"):
        place.append(first["ctx"]["discriminator"].strip("'"))
    return ApiError("bad_request", _message(first), field_name(place), _allowed(first))


def field_name(place: Sequence[int | str]) -> str:
    """("edits", 0, "steps") as edits[0].steps; no place is the whole body."""
    field = ""
    for part in place:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    return field.lstrip(".") or "body"


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"the body is not JSON: {error.get('ctx', {}).get('error', '')}"
    return f"{error['msg']}; got {_shown(error.get('input'))}"


def _shown(value: Any) -> str:
    """The beginning of a value as JSON; the rest, which may be megabytes, is not written."""
    text = ""
    for piece in json.JSONEncoder(default=str).iterencode(value):
        text += piece
        if len(text) > SHOWN:
            return f"{text[: SHOWN - 3]}..."
    return text


def _allowed(error: Mapping[str, Any]) -> list[Any] | None:
    """Bounds or literals of a pydantic error, where it has them."""
    context = error.get("ctx", {})
    expected = context.get("expected") or context.get("expected_tags")
    if expected is not None:
        return re.findall(r"'([^']*)'", str(expected)) or None
    bounds = set(BOUNDS) & context.keys()
    return [f"{name} {context[name]}" for name in sorted(bounds)] or None
