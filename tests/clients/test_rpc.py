"""gradctrl_client.rpc against the real service: the same client over grpc://."""

import asyncio
from typing import Any

import numpy as np
import pytest
from gradctrl_client import (
    AsyncClient,
    BadImageError,
    BadRequestError,
    Client,
    GradCtrlError,
    Inverted,
    ServiceUnreachableError,
    UnknownClassError,
    UnsupportedError,
)
from gradctrl_client.options import InvertOptions

from tests.servers import free_port

SMILE: dict[str, Any] = {"attribute": "smile", "target": "smiling"}


@pytest.fixture(scope="module")
def url(grpc_address: str) -> str:
    return f"grpc://{grpc_address}"


def test_the_quickstart(url: str) -> None:
    with Client(url) as client:
        assert client.is_ready()
        edit = client.edit(seed=7, **SMILE)
        assert edit.frames[-1].image.size == (16, 16)
        further = client.edit(latent=edit.latent, attribute="hair", target="blond", steps=2)
        assert further.frames[0].encoded == edit.frames[-1].encoded
        generated = client.generate([1, 2])
        assert len(client.score(generated.latents)) == 2


def test_models_are_those_of_rest(url: str, service_url: str) -> None:
    with Client(url) as rpc, Client(service_url) as rest:
        assert rpc.models() == rest.models()


def test_a_stream(url: str) -> None:
    with Client(url) as client:
        whole = client.edit(seed=7, **SMILE)
        with client.edit_stream(seed=7, **SMILE) as stream:
            assert [f.encoded for f in stream] == [f.encoded for f in whole.frames]
        assert stream.summary is not None
        np.testing.assert_array_equal(stream.summary.latent, whole.latent)
        with pytest.raises(UnknownClassError):
            client.edit_stream("smile", "grinning", seed=7)


def test_an_inversion_is_that_of_rest(url: str, service_url: str) -> None:
    options: InvertOptions = {"model": "tiny-style", "mode": "optimize", "steps": 20}

    async def on_a_loop(address: str, image: bytes) -> Inverted:
        async with AsyncClient(address) as client:
            return await client.invert(image, **options)

    with Client(url) as client, Client(service_url) as rest:
        image = client.generate(seeds=[3], model="tiny-style").encoded[0]
        found = client.invert(image, **options)
        assert found.space == "w_plus"
        assert found.report["steps_taken"] == 20
        assert found.reconstruction.size == (16, 16)
        expected = rest.invert(image, **options)
        edit = rest.edit(latent=found.latent, space=found.space, model=found.model, **SMILE)
        assert edit.frames[0].encoded == found.encoded
        with pytest.raises(BadImageError):
            client.invert(b"GIF")
    for one in (expected, *(asyncio.run(on_a_loop(a, image)) for a in (url, service_url))):
        np.testing.assert_array_equal(one.latent, found.latent)
        assert (one.encoded, one.model) == (found.encoded, found.model)
        assert {**one.report, "seconds": 0} == {**found.report, "seconds": 0}


def test_on_an_event_loop(url: str) -> None:
    async def run() -> None:
        async with AsyncClient(url) as client:
            assert await client.is_ready()
            edits = await asyncio.gather(*(client.edit(seed=s, **SMILE) for s in range(4)))
            assert len({edit.frames[0].encoded for edit in edits}) == 4
            collected = await (await client.edit_stream(seed=0, **SMILE)).collect()
            assert [f.encoded for f in collected.frames] == [f.encoded for f in edits[0].frames]
            with pytest.raises(UnknownClassError) as caught:
                await client.edit("smile", "grinning", seed=7)
            assert caught.value.allowed == ["not_smiling", "smiling"]

    asyncio.run(run())


BAD: list[dict[str, Any]] = [
    {"attribute": "smile", "target": "grinning", "seed": 7},
    {"attribute": "beard", "target": "long", "seed": 7},
    {**SMILE, "seed": 7, "model": "nobody"},
    {**SMILE, "seed": -1},
    {**SMILE},
    {**SMILE, "seed": 7, "steps": 65},
    {**SMILE, "seed": 7, "step_size": 0.0},
    {**SMILE, "seed": 7, "truncation": 1.5},
    {**SMILE, "seed": 7, "frames": "some"},
    {**SMILE, "seed": 7, "method": "magic"},
    {**SMILE, "seed": 7, "output": {"format": "bmp"}},
    {**SMILE, "seed": 7, "output": {"quality": 0}},
    {**SMILE, "seed": 7, "exclude": [{"attribute": "age", "top_k": -1}]},
    {**SMILE, "seed": 7, "exclude": [{"attribute": "nose", "top_k": 1}]},
    {**SMILE, "seed": 7, "exclude": [{"attribute": "age", "top_k": 16}]},
    {**SMILE, "seed": 7, "stop": {"probability": 1.0}},
    {**SMILE, "seed": 7, "layers": [3, 1], "model": "tiny-style"},
    {**SMILE, "latent": [0.0] * 5},
    {**SMILE, "latent": [[0.0] * 16] * 3, "model": "tiny-style"},
    {**SMILE, "latent": [0.0] * 16, "space": "v"},
    {**SMILE, "seed": 7, "class_label": 9, "model": "tiny-cond"},
    {**SMILE, "seed": 7, "class_label": [1.0], "model": "tiny-cond"},
    {**SMILE, "seed": 7, "latent": [0.0] * 16},
    {**SMILE, "image": b"no image"},
    {"edits": [], "seed": 7},
    {"edits": [SMILE] * 9, "seed": 7},
]


@pytest.mark.parametrize("options", BAD)
def test_refusals_are_those_of_rest(url: str, service_url: str, options: dict[str, Any]) -> None:
    caught: list[GradCtrlError] = []
    for address in (url, service_url):
        with Client(address) as client, pytest.raises(GradCtrlError) as refused:
            client.edit(**options)
        caught.append(refused.value)
    rpc, rest = caught
    assert (type(rpc), rpc.code, rpc.field) == (type(rest), rest.code, rest.field)
    assert rpc.allowed == rest.allowed


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"seed": "seven"}, "source.seed"),
        ({"seed": 2**70}, "source.seed"),
        ({"seed": 7, "steps": 10**12}, "edits[0].steps"),
        ({"seed": 7, "layers": [1]}, "edits[0].layers"),
        ({"latent": ["a"]}, "source.latent"),
        ({"latent": [[[0.0]]]}, "source.latent"),
        ({"seed": 7, "class_label": "cat"}, "source.class_label"),
    ],
)
def test_what_protobuf_cannot_hold_names_the_field(
    url: str, options: dict[str, Any], field: str
) -> None:
    with Client(url) as client, pytest.raises(GradCtrlError) as caught:
        client.edit(**SMILE, **options)
    assert caught.value.code in ("bad_request", "bad_latent")
    assert (caught.value.field or "").startswith(field)


def test_what_grpc_does_not_carry_says_so(url: str) -> None:
    with Client(url) as client, pytest.raises(UnsupportedError, match="http://") as caught:
        client.submit_edit(seed=7, **SMILE)
    assert caught.value.allowed == ["edit", "generate", "invert", "models", "score"]


def test_an_idempotency_key_holds_one_body(url: str) -> None:
    key = "test-rpc-edit"
    with Client(url) as client:
        first, again = (client.edit(seed=3, idempotency_key=key, **SMILE) for _ in range(2))
        assert again.request_id == first.request_id
        with pytest.raises(BadRequestError):
            client.edit(seed=4, idempotency_key=key, **SMILE)


def test_no_service_is_a_typed_error() -> None:
    with Client(f"grpc://127.0.0.1:{free_port()}", retries=1) as client:
        assert not client.is_ready()
        with pytest.raises(ServiceUnreachableError):
            client.models()
