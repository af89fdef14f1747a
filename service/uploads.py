"""The two fields of an upload as one request model. Knows nothing about images."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import UploadFile

from service.errors import ApiError
from service.idempotency import FIELD
from service.schema import EditBody
from service.validation import expect_shallow, parse


def text_of(part: object) -> object:
    """The text of a form's part, which is a file where it has a file name, as a Blob has."""
    return part.file.read().decode() if isinstance(part, UploadFile) else part


def upload_body(request: str, image: bytes) -> EditBody:
    """The edit that starts from an uploaded image; ApiError names the field that is wrong."""
    expect_shallow(request.encode(errors="replace"), "request")  # a charset may make any text
    try:
        values = json.loads(request)
    except (ValueError, RecursionError) as error:
        raise ApiError("bad_request", f"the field is not JSON: {error}", "request") from error
    if not isinstance(values, dict):
        raise ApiError("bad_request", "the field is a JSON object", "request")
    if "source" in values:
        raise ApiError("bad_request", "the upload is the source; leave it out", "request.source")
    source = {"image": base64.b64encode(image).decode()}
    try:
        return parse(EditBody, {**values, "source": source})
    except ApiError as error:
        raise error.within("request.") from error


@contextmanager
def refusing_upload() -> Iterator[None]:
    """Refusals of the edit that `upload_body` read, by the fields of the form."""
    try:
        yield
    except ApiError as error:
        if error.field == "source.image":
            raise error.at("image") from error
        raise (error if error.field == FIELD else error.within("request.")) from error
