"""gradctrl_client.requests: what reaches the wire, and names that never do."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gradctrl_client import BadRequestError, GradCtrlError, calls
from gradctrl_client.requests import edit_body, plain, read_edit_body, read_generate_body


def test_options_become_the_rest_body() -> None:
    body = edit_body(
        "smile",
        "smiling",
        {
            "latent": np.arange(4, dtype=np.float32).reshape(2, 2),
            "space": "w_plus",
            "steps": np.int64(3),
            "exclude": [],
            "layers": (0, 2),
            "stop": {"probability": 0.9},
            "model": None,
            "output": {"format": "webp"},
            "idempotency_key": "k",
        },
    ).to_dict()
    assert body["source"] == {"latent": [[0.0, 1.0], [2.0, 3.0]], "space": "w_plus"}
    (edit,) = body["edits"]
    assert edit["steps"] == 3
    assert (edit["exclude"], edit["layers"]) == ([], [0, 2])
    assert edit["stop"] == {"probability": 0.9}
    assert body["output"]["format"] == "webp"
    assert not {"model", "idempotency_key"} & body.keys()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"sauce": 1}, "sauce"),
        ({"source": {"sede": 1}}, "source.sede"),
        ({"edits": [{"stepz": 1}]}, "edits[0].stepz"),
        ({"edits": [{"exclude": [{"k": 1}]}]}, "edits[0].exclude[0].k"),
        ({"edits": [{"stop": {"p": 1}}]}, "edits[0].stop.p"),
        ({"output": {"dpi": 1}}, "output.dpi"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(data: dict[str, Any], field: str) -> None:
    with pytest.raises(GradCtrlError) as caught:
        read_edit_body(data)
    assert (caught.value.code, caught.value.field) == ("bad_request", field)
    assert caught.value.allowed
    assert field.rpartition(".")[2] not in caught.value.allowed


@pytest.mark.parametrize(
    ("options", "field", "allowed"),
    [
        ({"stop": 0.5}, "edits[0].stop", ["probability"]),
        ({"exclude": {"eyeglasses": 4}}, "edits[0].exclude", None),
        ({"exclude": [("eyeglasses", 4)]}, "edits[0].exclude[0]", ["attribute", "top_k"]),
        ({"output": "png"}, "output", ["format", "frame_ms", "paste_back", "quality", "size"]),
    ],
)
def test_a_part_of_another_form_is_refused_with_its_own(
    options: Any, field: str, allowed: list[str] | None
) -> None:
    with pytest.raises(BadRequestError, match="expected") as caught:
        edit_body("smile", "smiling", options)
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


def test_an_unknown_option_is_refused_with_those_of_the_method() -> None:
    asked: list[tuple[Callable[[Any], Any], str]] = [
        (lambda options: calls.edit("smile", "smiling", options), "steps"),
        (lambda options: calls.invert(b"", options), "steps"),
        (lambda options: calls.generate([1], options), "truncation"),
    ]
    for ask, known in asked:
        with pytest.raises(BadRequestError) as caught:
            ask({"step": 3})
        assert caught.value.field == "step"
        assert known in (caught.value.allowed or ())


def test_a_stream_takes_no_idempotency_key() -> None:
    options: Any = {"seed": 1, "idempotency_key": "k"}
    with pytest.raises(BadRequestError) as caught:
        calls.edit_stream("smile", "smiling", options)
    assert caught.value.field == "idempotency_key"
    assert calls.edit("smile", "smiling", options).idempotency_key == "k"


def test_bytes_become_base64_wherever_they_stand() -> None:
    photo = b"\x89PNG"
    bodies = (
        calls.invert(photo, {}).body.image,
        calls.submit("invert", {"image": photo}, None).body.request.image,
        edit_body("smile", "smiling", {"image": photo}).source.image,
        read_edit_body({"source": {"image": photo}, "edits": []}).source.image,
    )
    assert set(bodies) == {base64.b64encode(photo).decode()}


@pytest.mark.parametrize("value", [np.array([np.nan]), [1.0, float("inf")], np.float32("nan")])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    for field, code in (("source.latent", "bad_latent"), ("truncation", "bad_request")):
        with pytest.raises(GradCtrlError) as caught:
            plain(value, field)
        assert (caught.value.code, caught.value.field) == (code, field)


def test_a_refused_latent_names_its_place() -> None:
    with pytest.raises(GradCtrlError) as caught:
        read_generate_body({"latents": [np.zeros(2), np.array([0, np.inf])]})
    assert caught.value.field == "latents[1]"


def test_one_attribute_or_a_list_of_edits() -> None:
    with pytest.raises(TypeError, match="attribute and target, or edits"):
        edit_body("smile", "smiling", {"edits": []})
    with pytest.raises(TypeError, match="steps"):
        edit_body(None, None, {"edits": [], "steps": 3})
