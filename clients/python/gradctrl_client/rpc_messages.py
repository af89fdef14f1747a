"""Request models as messages of edit.proto, and its answers as results. Knows no channel."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from gradctrl_client.errors import BadLatentError, BadRequestError
from gradctrl_client.results import (
    AppliedEdit,
    Edit,
    EditSummary,
    Frame,
    Generated,
    Inverted,
    Latent,
    Scores,
    decode_image,
    whole_edit,
)
from gradctrl_client.wire import edit_pb2 as pb

Json = Mapping[str, Any]


def edit_request(body: Any) -> pb.EditRequest:
    """Of a generated EditBody."""
    data: Json = body.to_dict()
    message = pb.EditRequest()
    _set(message, data, "", "model", "truncation", "frames")
    if data["source"] is not None:
        message.source.SetInParent()  # an empty one is not a missing one
        _set_source(message.source, data["source"])
    for index, one in enumerate(data["edits"] or ()):
        _set_edit(message.edits.add(), one, f"edits[{index}]")
    output = ("format", "quality", "size", "paste_back")
    _set(message.output, data.get("output") or {}, "output", *output)
    _set_inversion(message.inversion, data.get("inversion"))
    return message


def edit_stream_request(body: Any) -> pb.EditStreamRequest:
    """Of a generated EditBody, for a stream."""
    return pb.EditStreamRequest(edit=edit_request(body))


def generate_request(body: Any) -> pb.GenerateRequest:
    """Of a generated GenerateBody."""
    data: Json = body.to_dict()
    message = pb.GenerateRequest()
    _set(message, data, "", "model", "space", "truncation")
    _extend(message.seeds, data.get("seeds") or (), "seeds")
    _add_latents(message.latents, data.get("latents") or ())
    _set_class(message.class_label, data.get("class_label"), "class_label")
    _set(message.output, data.get("output") or {}, "output", "format", "quality", "size")
    return message


def invert_request(body: Any) -> pb.InvertRequest:
    """Of a generated InvertBody."""
    data: Json = body.to_dict()
    message = pb.InvertRequest(image=base64.b64decode(data["image"] or ""))
    _set(message, data, "", "model")
    _set_inversion(message.inversion, data.get("inversion"))
    _set(message.output, data.get("output") or {}, "output", "format", "quality", "size")
    return message


def score_request(body: Any) -> pb.ScoreRequest:
    """Of a generated ScoreBody."""
    data: Json = body.to_dict()
    message = pb.ScoreRequest()
    _set(message, data, "", "model")
    _add_latents(message.latents, data["latents"] or ())
    return message


def models_request(body: None) -> pb.ListModelsRequest:
    """Of a question without parameters."""
    return pb.ListModelsRequest()


def edit_result(message: pb.EditResponse) -> Edit:
    """Of Edit."""
    return whole_edit(edit_summary(message), [frame(one) for one in message.frames])


def edit_summary(message: pb.EditResponse | pb.EditSummary) -> EditSummary:
    """Of the last event of EditStream, or of an answer less its frames."""
    return EditSummary(
        latent=_latent(message.latent),
        space=message.space,
        edits=[_applied(one) for one in message.edits],
        model=message.model,
        request_id=message.request_id,
        receipt=_receipt(message.receipt),
        timings_ms=dict(message.timings_ms),
        inversion=_inversion(message.inversion) if message.HasField("inversion") else None,
    )


def event(message: pb.EditStreamResponse) -> Frame | EditSummary:
    """Of EditStream."""
    if message.WhichOneof("event") == "frame":
        return frame(message.frame)
    return edit_summary(message.summary)


def frame(message: pb.Frame) -> Frame:
    """Of a frame."""
    image = decode_image(message.image)
    return Frame(image, _scores(message.scores), message.step, message.edit, message.image)


def generated(message: pb.GenerateResponse) -> Generated:
    """Of Generate."""
    encoded = list(message.images)
    latents = [_latent(one) for one in message.latents]
    return Generated([decode_image(one) for one in encoded], latents, message.model, encoded)


def inverted(message: pb.InvertResponse) -> Inverted:
    """Of the last event of Invert."""
    found = message.result
    image = decode_image(found.reconstruction)
    report = _inversion(found.inversion)
    return Inverted(
        _latent(found.latent), found.space, image, found.model, report, found.reconstruction
    )


def scores(message: pb.ScoreResponse) -> list[Scores]:
    """Of Score."""
    return [_scores(one.attributes) for one in message.scores]


def models(message: pb.ListModelsResponse) -> list[dict[str, Any]]:
    """Of ListModels, as the JSON of REST: fields that are not set are None."""
    return [_plain(one) for one in message.models]


def _inversion(message: pb.InversionReport) -> dict[str, Any]:
    """As the JSON of REST: fields that are not set are None."""
    found = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    found = {"max_error": None, **found}
    return {**found, "errors": {"perceptual": None, "identity": None, **found["errors"]}}


def _set(message: Any, data: Json, place: str, *names: str) -> None:
    """Set the fields that are given; protobuf's own type checks name the field."""
    for name in names:
        if (value := data.get(name)) is None:
            continue
        try:
            setattr(message, name, value)
        except (TypeError, ValueError) as error:
            field = f"{place}.{name}".lstrip(".")
            raise BadRequestError("bad_request", str(error), field) from error


def _extend(repeated: Any, values: Sequence[Any], field: str) -> None:
    for index, value in enumerate(values):
        try:
            repeated.append(value)
        except (TypeError, ValueError) as error:
            raise BadRequestError("bad_request", str(error), f"{field}[{index}]") from error


def _set_source(message: pb.Source, source: Json) -> None:
    starts = [name for name in ("seed", "latent", "image") if source.get(name) is not None]
    if len(starts) > 1:  # a oneof would keep the last one in silence
        text = f"exactly one of seed, latent, image; got {', '.join(starts)}"
        raise BadRequestError("bad_request", text, "source", ["seed", "latent", "image"])
    _set(message, source, "source", "seed", "space")
    if (latent := source.get("latent")) is not None:
        _set_latent(message.latent, latent, "source.latent")
    if (image := source.get("image")) is not None:
        message.image = base64.b64decode(image)
    _set_class(message.class_label, source.get("class_label"), "source.class_label")


def _set_inversion(message: pb.Inversion, knobs: Json | None) -> None:
    if knobs is not None:
        message.SetInParent()
        _set(message, knobs, "inversion", "mode", "steps", "space", "align", "max_error")


def _set_edit(message: pb.AttributeEdit, edit: Json, place: str) -> None:
    _set(message, edit, place, "attribute", "target", "steps", "step_size", "method")
    if (exclude := edit.get("exclude")) is not None:
        message.exclude.SetInParent()
        for index, one in enumerate(exclude):
            _set(message.exclude.items.add(), one, f"{place}.exclude[{index}]", *_EXCLUSION)
    if (layers := edit.get("layers")) is not None:
        if not isinstance(layers, list) or len(layers) != 2:
            raise BadRequestError("bad_request", "layers are [from, to)", f"{place}.layers")
        message.layers.SetInParent()
        pair = {"start": layers[0], "end": layers[1]}
        _set(message.layers, pair, f"{place}.layers", "start", "end")
    if (stop := edit.get("stop")) is not None:
        message.stop.SetInParent()
        _set(message.stop, stop, f"{place}.stop", "probability")


_EXCLUSION = ("attribute", "top_k")


def _set_class(message: pb.ClassLabel, label: Any, field: str) -> None:
    if label is None:
        return
    if isinstance(label, list):
        message.weights.SetInParent()
        _extend(message.weights.values, label, field)
    else:
        _set(message, {"index": label}, field, "index")


def _add_latents(repeated: Any, latents: Sequence[Any]) -> None:
    for index, latent in enumerate(latents):
        _set_latent(repeated.add(), latent, f"latents[{index}]")


def _set_latent(message: pb.Latent, latent: Any, field: str) -> None:
    try:
        values = np.asarray(latent, np.float32)
    except (TypeError, ValueError) as error:
        raise BadLatentError("bad_latent", f"expected numbers: {error}", field) from error
    if values.ndim not in (1, 2):
        message_text = f"expected [d] or [num_ws][d], got {values.ndim} axes"
        raise BadLatentError("bad_latent", message_text, field)
    message.num_ws = len(values) if values.ndim == 2 else 0
    message.values.extend(values.ravel().tolist())


def _latent(message: pb.Latent) -> Latent:
    values = np.array(message.values, np.float32)
    return values.reshape(message.num_ws, -1) if message.num_ws else values


def _scores(message: Mapping[str, pb.ClassScores]) -> Scores:
    return {attribute: dict(one.classes) for attribute, one in message.items()}


def _applied(message: pb.EditReport) -> AppliedEdit:
    return AppliedEdit(
        message.attribute,
        message.target,
        message.method,
        message.reached if message.HasField("reached") else None,
        message.steps_taken,
        [{"attribute": one.attribute, "top_k": one.top_k} for one in message.masked],
        message.masked_channels,
        message.kept_norm,
    )


def _receipt(message: pb.Receipt) -> dict[str, Any]:
    return {
        "model_sha256": message.model_sha256,
        "seed": message.seed if message.HasField("seed") else None,
        "noise": message.noise,
        "version": message.version,
        "methods": list(message.methods),
    }


def _plain(message: Message) -> Any:
    """A message as the JSON of REST has it: what is not set is None."""
    if isinstance(message, Struct):
        return MessageToDict(message)
    if isinstance(message, pb.LayerRange):
        return [message.start, message.end]
    if isinstance(message, pb.AttributeNames):
        return list(message.names)
    return {field.name: _plain_field(message, field) for field in message.DESCRIPTOR.fields}


def _plain_field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.has_presence:
        if not message.HasField(field.name):
            return None
        return _plain(value) if isinstance(value, Message) else value
    if isinstance(value, Mapping):
        return {key: _plain(one) if isinstance(one, Message) else one for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(one) if isinstance(one, Message) else one for one in value]
    return value
