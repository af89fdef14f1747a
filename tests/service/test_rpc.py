"""The gRPC API of the real service: what it answers, beside what REST answers."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]
    reflection_pb2,
    reflection_pb2_grpc,
)

from service.rpc import SERVICE
from service.wire import edit_pb2 as wire
from tests.rpc_calls import edit_request, stub_of

TIMEOUT_S = 60
BUF = Path(sys.executable).with_name("buf")


@pytest.fixture(scope="module")
def stub(grpc_address: str) -> Iterator[Any]:
    """The API of the shared service."""
    with stub_of(grpc_address) as stub:
        yield stub


def rest(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{url}{path}", json=body, timeout=TIMEOUT_S)
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(latent: wire.Latent) -> list[Any]:
    values = list(latent.values)
    if not latent.num_ws:
        return values
    step = len(values) // latent.num_ws
    return [values[at : at + step] for at in range(0, len(values), step)]


def scores(message: Any) -> dict[str, dict[str, float]]:
    return {name: dict(one.classes) for name, one in message.items()}


def assert_same(answer: wire.EditResponse, expected: dict[str, Any]) -> None:
    """Everything of a REST answer but what belongs to one call."""
    assert answer.model == expected["model"]
    assert {"space": answer.space, "values": rows(answer.latent)} == expected["latent"]
    for frame, other in zip(answer.frames, expected["frames"], strict=True):
        assert (frame.step, frame.edit) == (other["step"], other["edit"])
        assert frame.image == base64.b64decode(other["image"])
        assert scores(frame.scores) == other["scores"]
    for edit, other in zip(answer.edits, expected["edits"], strict=True):
        masked = [{"attribute": one.attribute, "top_k": one.top_k} for one in edit.masked]
        assert masked == other["masked"]
        for name in ("attribute", "target", "method", "reached", "steps_taken", "masked_channels"):
            assert getattr(edit, name) == other[name]
        assert edit.kept_norm == other["kept_norm"]
    seed = answer.receipt.seed if answer.receipt.HasField("seed") else None
    assert seed == expected["receipt"]["seed"]
    for name in ("model_sha256", "noise", "version"):
        assert getattr(answer.receipt, name) == expected["receipt"][name]


EDITS: dict[str, tuple[wire.EditRequest, dict[str, Any]]] = {
    "defaults": (
        wire.EditRequest(
            source=wire.Source(seed=11),
            edits=[wire.AttributeEdit(attribute="smile", target="smiling")],
        ),
        {"source": {"seed": 11}, "edits": [{"attribute": "smile", "target": "smiling"}]},
    ),
    "everything": (
        wire.EditRequest(
            model="tiny-style",
            source=wire.Source(seed=12),
            edits=[
                wire.AttributeEdit(
                    attribute="hair",
                    target="blond",
                    steps=5,
                    step_size=0.444,
                    exclude=wire.Exclusions(items=[wire.Exclusion(attribute="age", top_k=4)]),
                    layers=wire.LayerRange(start=1, end=4),
                    stop=wire.Stop(probability=0.95),
                    method="gradctrl",
                ),
                wire.AttributeEdit(
                    attribute="smile", target="smiling", steps=2, exclude=wire.Exclusions()
                ),
            ],
            truncation=0.7,
            output=wire.Output(format="webp", quality=80, size=32),
        ),
        {
            "model": "tiny-style",
            "source": {"seed": 12},
            "edits": [
                {
                    "attribute": "hair",
                    "target": "blond",
                    "steps": 5,
                    "step_size": 0.444,
                    "exclude": [{"attribute": "age", "top_k": 4}],
                    "layers": [1, 4],
                    "stop": {"probability": 0.95},
                    "method": "gradctrl",
                },
                {"attribute": "smile", "target": "smiling", "steps": 2, "exclude": []},
            ],
            "truncation": 0.7,
            "output": {"format": "webp", "quality": 80, "size": 32},
        },
    ),
    "conditional": (
        wire.EditRequest(
            model="tiny-cond",
            source=wire.Source(
                seed=13,
                class_label=wire.ClassLabel(weights=wire.ClassWeights(values=[0.5, 0.5, 0])),
            ),
            edits=[wire.AttributeEdit(attribute="age", target="old", steps=0)],
            frames="final",
        ),
        {
            "model": "tiny-cond",
            "source": {"seed": 13, "class_label": [0.5, 0.5, 0]},
            "edits": [{"attribute": "age", "target": "old", "steps": 0}],
            "frames": "final",
        },
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_that_of_rest(stub: Any, service_url: str, name: str) -> None:
    request, body = EDITS[name]
    answer = stub.Edit(request, timeout=TIMEOUT_S)
    assert_same(answer, rest(service_url, "/v1/edit", body))
    assert set(answer.timings_ms) == {"trajectory", "render", "total"}


@pytest.mark.parametrize("seed", [14, 11])  # not kept by the cache, and kept
def test_a_stream_gives_the_frames_and_then_the_rest(stub: Any, seed: int) -> None:
    request = edit_request(seed=seed)
    events = list(stub.EditStream(wire.EditStreamRequest(edit=request), timeout=TIMEOUT_S))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["frame"] * 9 + ["summary"]
    answer = stub.Edit(request, timeout=TIMEOUT_S)
    assert [event.frame for event in events[:-1]] == list(answer.frames)
    summary = events[-1].summary
    for name in ("model", "latent", "space", "receipt"):
        assert getattr(summary, name) == getattr(answer, name)
    assert list(summary.edits) == list(answer.edits)
    assert summary.request_id != answer.request_id


@pytest.mark.parametrize("model", ["tiny", "tiny-style"])
def test_the_latent_of_an_answer_is_the_next_source(stub: Any, model: str) -> None:
    first = stub.Edit(edit_request(model=model))
    source = wire.Source(latent=first.latent, space=first.space)
    edits = [wire.AttributeEdit(attribute="age", target="old", steps=2)]
    further = stub.Edit(wire.EditRequest(model=model, source=source, edits=edits))
    assert further.frames[0].image == first.frames[-1].image
    assert not further.receipt.HasField("seed")


def test_generate_and_score_are_those_of_rest(stub: Any, service_url: str) -> None:
    generated = stub.Generate(wire.GenerateRequest(model="tiny-style", seeds=[1, 2]))
    body = {"model": "tiny-style", "seeds": [1, 2]}
    expected = rest(service_url, "/v1/generate", body)
    assert list(generated.images) == [base64.b64decode(image) for image in expected["images"]]
    assert [rows(latent) for latent in generated.latents] == [
        latent["values"] for latent in expected["latents"]
    ]
    again = wire.GenerateRequest(
        model="tiny-style", latents=generated.latents, space=generated.space
    )
    assert stub.Generate(again).images == generated.images
    scored = stub.Score(wire.ScoreRequest(model="tiny-style", latents=generated.latents))
    body = {"model": "tiny-style", "latents": [one["values"] for one in expected["latents"]]}
    answer = rest(service_url, "/v1/score", body)
    assert [scores(one.attributes) for one in scored.scores] == answer["scores"]


def test_models_are_those_of_rest(stub: Any, service_url: str) -> None:
    models = stub.ListModels(wire.ListModelsRequest()).models
    expected = httpx.get(f"{service_url}/v1/models").json()["models"]
    for model, card in zip(models, expected, strict=True):
        for name in ("tag", "default", "name", "family", "resolution", "z_dim", "truncation"):
            assert getattr(model, name) == card[name]
        for name in ("w_dim", "num_ws", "truncation_cutoff"):
            assert (getattr(model, name) if model.HasField(name) else None) == card[name]
        assert list(model.spaces) == card["spaces"]
        assert dict(model.files) == card["files"]
        assert model.provenance.licence == card["provenance"]["licence"]
        for attribute, other in zip(model.attributes, card["attributes"], strict=True):
            assert (attribute.name, list(attribute.classes)) == (other["name"], other["classes"])
            assert attribute.defaults.step_size == other["defaults"]["step_size"]


def test_an_idempotency_key_gives_the_first_answer(stub: Any) -> None:
    metadata = (("idempotency-key", "rpc-1"),)
    first = stub.Edit(edit_request(seed=15), metadata=metadata)
    assert stub.Edit(edit_request(seed=15), metadata=metadata).request_id == first.request_id
    assert stub.Edit(edit_request(seed=15)).request_id != first.request_id


def test_answers_carry_the_request_id(stub: Any) -> None:
    answer, call = stub.Edit.with_call(edit_request())
    assert dict(call.trailing_metadata())["x-request-id"] == answer.request_id


@pytest.mark.parametrize("service", ["", SERVICE])
def test_health_is_serving(grpc_address: str, service: str) -> None:
    with grpc.insecure_channel(grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_describes_the_service(grpc_address: str) -> None:
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(grpc_address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = stub.ServerReflectionInfo(iter([asked]))
        names = [service.name for service in answer.list_services_response.service]
        symbol = reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE)
        (answer,) = stub.ServerReflectionInfo(iter([symbol]))
    assert SERVICE in names
    assert "grpc.health.v1.Health" in names
    described = answer.file_descriptor_response.file_descriptor_proto[0]
    assert b"gradctrl.v1" in described


def test_calls_are_counted_by_method_and_status(
    stub: Any, service_url: str, grpc_address: str
) -> None:
    stub.Edit(edit_request())
    with pytest.raises(grpc.RpcError):
        stub.Edit(edit_request(model="nobody"))
    with grpc.insecure_channel(grpc_address) as channel:
        unknown: Any = channel.unary_unary(f"/{SERVICE}/Nothing")
        with pytest.raises(grpc.RpcError):
            unknown(b"")
    text = httpx.get(f"{service_url}/metrics").text
    for line in (
        'gradctrl_rpcs_total{method="Edit",status="OK"}',
        'gradctrl_rpcs_total{method="Edit",status="NOT_FOUND"}',
        'gradctrl_rpc_seconds_count{method="Edit"}',
    ):
        assert line in text, line
    assert "Nothing" not in text


def test_a_client_of_another_kind_needs_the_address_alone(
    grpc_address: str, tmp_path: Path
) -> None:
    """`buf curl` is written in Go and learns the messages by reflection."""
    url = f"http://{grpc_address}/{SERVICE}"
    command = [str(BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge"]
    env = {"HOME": str(tmp_path), "BUF_CACHE_DIR": str(tmp_path)}

    def curl(method: str, body: str) -> "subprocess.CompletedProcess[str]":
        asked = [*command, "-d", body, f"{url}/{method}"]
        return subprocess.run(asked, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)

    models = json.loads(curl("ListModels", "{}").stdout)["models"]
    assert models[0]["name"] == "tiny"
    edit = {"source": {"seed": "7"}, "edits": [{"attribute": "smile", "target": "smiling"}]}
    assert curl("EditStream", json.dumps({"edit": edit})).stdout.count('"image"') == 7
    refusal = curl("Edit", json.dumps({**edit, "model": "nobody"}))
    assert refusal.returncode != 0
    assert json.loads(refusal.stderr)["code"] == "not_found"
    assert "google.rpc.ErrorInfo" in refusal.stderr
