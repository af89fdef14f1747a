"""The blocking client against the real service, over REST."""

from typing import Any

import numpy as np
import pytest
from gradctrl_client import Client, GradCtrlError, ServiceUnreachableError, UnknownClassError

from tests.servers import free_port


def test_the_quickstart(service_url: str) -> None:
    with Client(service_url) as client:
        edit = client.edit(seed=7, attribute="smile", target="smiling")
        assert [frame.step for frame in edit.frames] == list(range(7))
        assert edit.frames[0].image.size == (16, 16)
        first, last = (edit.frames[i].scores["smile"]["smiling"] for i in (0, -1))
        assert last > first
        further = client.edit(latent=edit.latent, attribute="hair", target="blond", steps=2)
        assert further.frames[0].encoded == edit.frames[-1].encoded
        assert edit.edits[0].masked == [{"attribute": "age", "top_k": 3}]


def test_every_endpoint(service_url: str) -> None:
    with Client(service_url) as client:
        assert client.is_ready()
        assert client.models()[0]["name"] == "tiny"
        generated = client.generate(seeds=np.arange(1, 3), truncation=0.8)
        assert generated.images[1].size == (16, 16)
        assert generated.latents[0].dtype == np.float32
        assert len(client.score(generated.latents)) == 2
        found = client.directions(latent=generated.latents[0], attribute="age", target="old")
        assert found["direction"].shape == (16,)
        body = {
            "source": {"seed": 1},
            "edits": [{"attribute": "age", "target": "old"}],
            "output": {"format": "webp"},
        }
        assert client.edit_image(body)[8:12] == b"WEBP"


def test_several_edits_are_one_request(service_url: str) -> None:
    edits: list[dict[str, Any]] = [
        {"attribute": "hair", "target": "blond", "steps": 3, "exclude": []},
        {"attribute": "smile", "target": "smiling", "stop": {"probability": 0.5}},
    ]
    with Client(service_url) as client:
        edit = client.edit(seed=np.int64(7), edits=edits, output={"format": "jpeg", "size": 32})
    assert [one.attribute for one in edit.edits] == ["hair", "smile"]
    assert edit.frames[0].encoded[:3] == b"\xff\xd8\xff"
    assert edit.frames[0].image.size == (32, 32)


def test_spaces_and_classes(service_url: str) -> None:
    with Client(service_url) as client:
        (latent,) = client.generate([7], class_label=1, model="tiny-cond").latents
        options: dict[str, Any] = {"attribute": "smile", "target": "smiling", "layers": [1, 3]}
        by_seed = client.edit(seed=7, class_label=1, model="tiny-cond", **options)
        by_latent = client.edit(latent=latent, space="w_plus", model="tiny-cond", **options)
        assert by_seed.space == "w_plus"
        np.testing.assert_array_equal(by_latent.latent, by_seed.latent)
        w = latent[0]
        generated = client.generate(latents=[w], space="w", model="tiny-cond")
        np.testing.assert_array_equal(generated.latents[0], np.tile(w, (len(latent), 1)))
        with pytest.raises(GradCtrlError) as caught:
            client.edit(latent=w, space="z", model="tiny-cond", **options)
    assert (caught.value.field, caught.value.allowed) == ("source.class_label", [0, 2])


def test_refusals_carry_code_field_and_allowed(service_url: str) -> None:
    with Client(service_url) as client, pytest.raises(UnknownClassError) as caught:
        client.edit(seed=7, attribute="smile", target="grinning")
    error = caught.value
    assert (error.code, error.field, error.status) == ("unknown_class", "edits[0].target", 400)
    assert error.allowed == ["not_smiling", "smiling"]


def test_an_idempotency_key_holds_one_body(service_url: str) -> None:
    key = "test-client-edit"
    with Client(service_url) as client:
        first, again = (
            client.edit("smile", "smiling", seed=3, idempotency_key=key) for _ in range(2)
        )
        assert again.request_id == first.request_id
        with pytest.raises(GradCtrlError) as caught:
            client.edit("smile", "smiling", seed=4, idempotency_key=key)
    assert (caught.value.code, caught.value.field) == ("bad_request", "Idempotency-Key")


def test_no_service_is_a_typed_error() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", retries=1) as client:
        assert not client.is_ready()
        with pytest.raises(ServiceUnreachableError):
            client.models()


@pytest.mark.parametrize("url", ["127.0.0.1:3000", "ftp://host", "http://"])
def test_a_url_that_names_no_transport_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"http://.*grpc://"):
        Client(url)
