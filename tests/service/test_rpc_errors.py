"""Refusals over gRPC: the same code, field and allowed values as over REST."""

import random
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from service.errors import STATUS as HTTP_STATUS
from service.errors import ApiError
from service.rpc import SERVICE
from service.rpc_errors import STATUS, trailing_metadata
from service.wire import edit_pb2 as wire
from tests.rpc_calls import UNLIMITED, Refused, edit_request, refused, stub_of

SMILE = {"attribute": "smile", "target": "smiling"}
INVALID = grpc.StatusCode.INVALID_ARGUMENT
MAX_BYTES = 10_000_000  # default of GRADCTRL_MAX_UPLOAD_BYTES
HEADER_LIMIT = 8192  # of trailing metadata, in most clients


def smile(**more: Any) -> wire.AttributeEdit:
    return wire.AttributeEdit(attribute="smile", target="smiling", **more)


def edit(**more: Any) -> wire.EditRequest:
    return wire.EditRequest(**{"source": wire.Source(seed=1), "edits": [smile()], **more})


def body(**more: Any) -> dict[str, Any]:
    return {"source": {"seed": 1}, "edits": [SMILE], **more}


def latent(values: list[float], num_ws: int = 0) -> wire.Source:
    return wire.Source(latent=wire.Latent(values=values, num_ws=num_ws))


CASES: dict[str, tuple[wire.EditRequest, dict[str, Any], grpc.StatusCode]] = {
    "model": (edit(model="nobody"), body(model="nobody"), grpc.StatusCode.NOT_FOUND),
    "no source": (wire.EditRequest(edits=[smile()]), {"edits": [SMILE]}, INVALID),
    "no start": (edit(source=wire.Source()), body(source={}), INVALID),
    "seed": (edit(source=wire.Source(seed=-1)), body(source={"seed": -1}), INVALID),
    "big seed": (edit(source=wire.Source(seed=2**32)), body(source={"seed": 2**32}), INVALID),
    "image": (edit(source=wire.Source(image=b"x")), body(source={"image": "eA=="}), INVALID),
    "space": (
        edit(source=wire.Source(latent=wire.Latent(values=[0.0] * 16), space="v")),
        body(source={"latent": [0.0] * 16, "space": "v"}),
        INVALID,
    ),
    "wrong space": (
        edit(source=wire.Source(latent=wire.Latent(values=[0.0] * 16), space="w")),
        body(source={"latent": [0.0] * 16, "space": "w"}),
        INVALID,
    ),
    "latent": (edit(source=latent([1.0])), body(source={"latent": [1.0]}), INVALID),
    "no numbers": (edit(source=latent([])), body(source={"latent": []}), INVALID),
    "nan": (
        edit(source=latent([float("nan")] * 16)),
        body(source={"latent": [1e9] * 16}),  # JSON has no NaN
        INVALID,
    ),
    "rows": (
        edit(source=latent([0.0] * 32, 2)),
        body(source={"latent": [[0.0] * 16] * 2}),
        INVALID,
    ),
    "label": (
        edit(model="tiny-cond", source=wire.Source(seed=1)),
        body(model="tiny-cond"),
        INVALID,
    ),
    "no edits": (edit(edits=[]), body(edits=[]), INVALID),
    "edits": (edit(edits=[smile()] * 9), body(edits=[SMILE] * 9), INVALID),
    "attribute": (
        edit(edits=[wire.AttributeEdit(attribute="wings", target="yes")]),
        body(edits=[{"attribute": "wings", "target": "yes"}]),
        INVALID,
    ),
    "class": (
        edit(edits=[wire.AttributeEdit(attribute="hair", target="green")]),
        body(edits=[{"attribute": "hair", "target": "green"}]),
        INVALID,
    ),
    "steps": (edit(edits=[smile(steps=65)]), body(edits=[{**SMILE, "steps": 65}]), INVALID),
    "step size": (
        edit(edits=[smile(step_size=0)]),
        body(edits=[{**SMILE, "step_size": 0}]),
        INVALID,
    ),
    "top k": (
        edit(
            edits=[
                smile(exclude=wire.Exclusions(items=[wire.Exclusion(attribute="age", top_k=-1)]))
            ]
        ),
        body(edits=[{**SMILE, "exclude": [{"attribute": "age", "top_k": -1}]}]),
        INVALID,
    ),
    "nothing left": (
        edit(
            edits=[
                smile(exclude=wire.Exclusions(items=[wire.Exclusion(attribute="age", top_k=16)]))
            ]
        ),
        body(edits=[{**SMILE, "exclude": [{"attribute": "age", "top_k": 16}]}]),
        grpc.StatusCode.FAILED_PRECONDITION,
    ),
    "layers": (
        edit(model="tiny-style", edits=[smile(layers=wire.LayerRange(start=4, end=2))]),
        body(model="tiny-style", edits=[{**SMILE, "layers": [4, 2]}]),
        INVALID,
    ),
    "stop": (
        edit(edits=[smile(stop=wire.Stop(probability=1))]),
        body(edits=[{**SMILE, "stop": {"probability": 1}}]),
        INVALID,
    ),
    "method": (
        edit(edits=[smile(method="magic")]),
        body(edits=[{**SMILE, "method": "magic"}]),
        INVALID,
    ),
    "truncation": (edit(truncation=1.5), body(truncation=1.5), INVALID),
    "frames": (edit(frames="some"), body(frames="some"), INVALID),
    "format": (
        edit(output=wire.Output(format="bmp")),
        body(output={"format": "bmp"}),
        INVALID,
    ),
    "gif": (edit(output=wire.Output(format="gif")), body(output={"format": "gif"}), INVALID),
    "size": (edit(output=wire.Output(size=4)), body(output={"size": 4}), INVALID),
}


@pytest.fixture(scope="module")
def stub(grpc_address: str) -> Iterator[Any]:
    """The API of the shared service."""
    with stub_of(grpc_address) as stub:
        yield stub


def refusal(call: Any, *arguments: Any, **more: Any) -> Refused:
    """The refusal of a call, unary or streaming."""
    with pytest.raises(grpc.RpcError) as error:
        list(answer) if hasattr(answer := call(*arguments, **more), "__iter__") else answer
    return refused(error.value)


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_is_that_of_rest(stub: Any, service_url: str, name: str) -> None:
    request, json, status = CASES[name]
    error = httpx.post(f"{service_url}/v1/edit", json=json, timeout=60).json()["error"]
    for answer in (
        refusal(stub.Edit, request),
        refusal(stub.EditStream, wire.EditStreamRequest(edit=request)),
    ):
        assert answer.status == status
        assert answer.code == error["code"]
        assert answer.field == answer.violation == error.get("field")
        assert answer.allowed == error.get("allowed")
        assert answer.retry_s is None
        assert answer.metadata["x-request-id"]


def test_generate_and_score_refuse_as_rest_does(stub: Any, service_url: str) -> None:
    both = wire.GenerateRequest(seeds=[1], latents=[wire.Latent(values=[0.0] * 16)])
    for call, request, path, json in (
        (stub.Generate, wire.GenerateRequest(), "generate", {}),
        (stub.Generate, both, "generate", {"seeds": [1], "latents": [[0.0] * 16]}),
        (stub.Generate, wire.GenerateRequest(seeds=[1] * 65), "generate", {"seeds": [1] * 65}),
        (stub.Score, wire.ScoreRequest(), "score", {"latents": []}),
        (
            stub.Score,
            wire.ScoreRequest(latents=[wire.Latent(values=[1.0])]),
            "score",
            {"latents": [[1.0]]},
        ),
    ):
        error = httpx.post(f"{service_url}/v1/{path}", json=json).json()["error"]
        answer = refusal(call, request)
        assert (answer.code, answer.field) == (error["code"], error.get("field"))
        assert answer.allowed == error.get("allowed")


@pytest.mark.parametrize("num_ws", [-1, 3, 17, 2**31 - 1])
def test_rows_that_do_not_fit_are_a_bad_latent(stub: Any, num_ws: int) -> None:
    answer = refusal(stub.Edit, edit(source=latent([0.0] * 16, num_ws)))
    assert (answer.code, answer.field) == ("bad_latent", "source.latent")


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_bad_idempotency_key_is_named(stub: Any, key: str) -> None:
    answer = refusal(stub.Edit, edit(), metadata=(("idempotency-key", key),))
    assert (answer.code, answer.field) == ("bad_request", "Idempotency-Key")


def test_a_key_of_another_request_is_refused(stub: Any) -> None:
    metadata = (("idempotency-key", "rpc-errors"),)
    stub.Edit(edit_request(seed=1), metadata=metadata)
    answer = refusal(stub.Edit, edit_request(seed=2), metadata=metadata)
    assert (answer.code, answer.field) == ("bad_request", "Idempotency-Key")
    assert answer.status == INVALID


GARBAGE = {
    "tags": b"\xff" * 100,
    "length": b"\x0a\xff\xff\xff\xff\x0f",
    "text": b"not protobuf",
    "not UTF-8": b"\x0a\x02\xc3\x28",
}
METHODS = ("Edit", "EditStream", "Generate", "Score")


def call(address: str, method: str, data: bytes) -> Refused | None:
    """The refusal of raw bytes; None if they were answered."""
    with grpc.insecure_channel(address, options=UNLIMITED) as channel:
        build: Any = channel.unary_stream if method == "EditStream" else channel.unary_unary
        try:
            answer = build(f"/{SERVICE}/{method}")(data, timeout=60)
            list(answer) if method == "EditStream" else answer
        except grpc.RpcError as error:
            return refused(error)
    return None


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("method", METHODS)
def test_garbage_is_a_bad_request(grpc_address: str, method: str, data: bytes) -> None:
    answer = call(grpc_address, method, data)
    assert answer is not None
    assert (answer.status, answer.code, answer.field) == (INVALID, "bad_request", "body")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_damaged_messages_are_answered_or_explained(grpc_address: str, method: str) -> None:
    damage = random.Random(method)
    whole = {
        "Edit": CASES["layers"][0],
        "EditStream": wire.EditStreamRequest(edit=CASES["stop"][0]),
        "Generate": wire.GenerateRequest(seeds=[1, 2], output=wire.Output(format="jpeg")),
        "Score": wire.ScoreRequest(latents=[wire.Latent(values=[0.5] * 16)]),
    }[method].SerializeToString()
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(damage.randint(1, 4)):
            data[damage.randrange(len(data))] = damage.randrange(256)
        answer = call(grpc_address, method, bytes(data[: damage.randint(1, len(data))]))
        if answer is not None:
            assert answer.code not in (None, "internal"), (bytes(data), answer)


def test_an_unknown_method_is_unimplemented(grpc_address: str) -> None:
    with grpc.insecure_channel(grpc_address) as channel:
        answer = refusal(channel.unary_unary(f"/{SERVICE}/Nothing"), b"")
    assert answer.status == grpc.StatusCode.UNIMPLEMENTED


def test_a_message_above_the_limit_is_explained(stub: Any) -> None:
    source = wire.Source(image=bytes(MAX_BYTES + 1))
    answer = refusal(stub.Edit, edit(source=source))
    assert answer.status == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (answer.code, answer.field) == ("bad_request", "body")
    assert answer.allowed == [0, MAX_BYTES]


def test_a_message_far_above_the_limit_is_not_read(stub: Any) -> None:
    answer = refusal(stub.Edit, edit(source=wire.Source(image=bytes(2 * MAX_BYTES + 1))))
    assert answer.status == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert answer.code is None
    assert stub.Edit(edit_request()).frames


def test_a_megabyte_as_a_name_is_refused_within_the_limits_of_headers(stub: Any) -> None:
    answer = refusal(stub.Edit, edit(model="ü" * 1_000_000))
    assert answer.code == "unknown_model"
    assert len(answer.message) <= 500


def test_every_code_has_a_status() -> None:
    assert STATUS.keys() == HTTP_STATUS.keys()


def test_details_fit_into_headers() -> None:
    error = ApiError("unknown_attribute", "ü" * 10_000, "edits[0].attribute", ["é" * 60] * 1000)
    size = sum(len(key) + len(value) for key, value in trailing_metadata(error, "x" * 32))
    assert size < HEADER_LIMIT * 3 // 4  # binary metadata travels in base64


def test_a_refusal_that_may_be_retried_says_when() -> None:
    (_, (_, packed)) = trailing_metadata(ApiError("overloaded", "try again"), "id")
    assert isinstance(packed, bytes)
    assert b"google.rpc.RetryInfo" in packed
