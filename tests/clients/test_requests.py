"""gradctrl_client.requests: what reaches the wire, and names that never do."""

from typing import Any

import numpy as np
import pytest
from gradctrl_client import GradCtrlError
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
