"""gRPC requests as the plain values of REST's JSON. Knows no bounds: service/schema.py does.

A field that is not set is left out, so that both transports have the same defaults and refusals.
"""

import base64
from typing import Any

from google.protobuf.message import Message

from service.errors import ApiError
from service.wire import edit_pb2 as wire

Values = dict[str, Any]


def edit_values(request: wire.EditRequest) -> Values:
    """The JSON of /v1/edit."""
    values = _scalars(request, "model", "truncation", "frames")
    if request.HasField("source"):
        values["source"] = _source(request.source)
    if request.HasField("output"):
        values["output"] = _output(request.output) | _scalars(request.output, "paste_back")
    if request.HasField("inversion"):
        values["inversion"] = _inversion(request.inversion)
    values["edits"] = [_edit(edit) for edit in request.edits]
    return values


def invert_values(request: wire.InvertRequest) -> Values:
    """The JSON of /v1/invert."""
    values = _scalars(request, "model")
    values["image"] = base64.b64encode(request.image).decode()
    if request.HasField("inversion"):
        values["inversion"] = _inversion(request.inversion)
    if request.HasField("output"):
        values["output"] = _output(request.output)
    return values


def generate_values(request: wire.GenerateRequest) -> Values:
    """The JSON of /v1/generate."""
    values = _scalars(request, "model", "space", "truncation")
    if request.seeds:
        values["seeds"] = list(request.seeds)
    if request.latents:
        values["latents"] = _latents(request.latents)
    if request.HasField("class_label"):
        values["class_label"] = _class_label(request.class_label)
    if request.HasField("output"):
        values["output"] = _output(request.output)
    return values


def score_values(request: wire.ScoreRequest) -> Values:
    """The JSON of /v1/score."""
    return {**_scalars(request, "model"), "latents": _latents(request.latents)}


def _source(source: wire.Source) -> Values:
    values = _scalars(source, "seed", "space")
    if source.HasField("latent"):
        values["latent"] = _latent(source.latent, "source.latent")
    if source.HasField("image"):
        values["image"] = base64.b64encode(source.image).decode()
    if source.HasField("class_label"):
        values["class_label"] = _class_label(source.class_label)
    return values


def _edit(edit: wire.AttributeEdit) -> Values:
    values: Values = {"attribute": edit.attribute, "target": edit.target}
    values |= _scalars(edit, "steps", "step_size", "method")
    if edit.HasField("exclude"):
        values["exclude"] = [
            {"attribute": one.attribute, "top_k": one.top_k} for one in edit.exclude.items
        ]
    if edit.HasField("layers"):
        values["layers"] = [edit.layers.start, edit.layers.end]
    if edit.HasField("stop"):
        values["stop"] = {"probability": edit.stop.probability}
    return values


def _output(output: wire.Output) -> Values:
    return _scalars(output, "format", "quality", "size")


def _inversion(inversion: wire.Inversion) -> Values:
    return _scalars(inversion, "mode", "steps", "space", "align", "max_error")


def _class_label(label: wire.ClassLabel) -> int | list[float] | None:
    if label.HasField("weights"):
        return list(label.weights.values)
    return label.index if label.HasField("index") else None


def _latents(latents: Any) -> list[list[Any]]:  # repeated Latent
    return [_latent(latent, f"latents[{index}]") for index, latent in enumerate(latents)]


def _latent(latent: wire.Latent, field: str) -> list[Any]:
    """Numbers, or rows of numbers."""
    values, rows = list(latent.values), latent.num_ws
    if rows == 0:
        return values
    if rows < 0 or len(values) < rows or len(values) % rows:
        message = f"{len(values)} numbers are not {rows} rows of the same length"
        raise ApiError("bad_latent", message, field)
    channels = len(values) // rows
    return [values[start : start + channels] for start in range(0, len(values), channels)]


def _scalars(message: Message, *names: str) -> Values:
    return {name: getattr(message, name) for name in names if message.HasField(name)}
