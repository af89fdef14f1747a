"""One engine under every transport: the same 20 requests give the same bytes everywhere.

A service keeps the answers of equal requests; the one asked here keeps none, so that every way is
worked on. Run with -s to see the table.
"""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from gradctrl_client import AsyncClient, Client, Edit
from gradctrl_client.wire import edit_pb2, edit_pb2_grpc

from model_store import StoredModel
from tests.servers import free_port, running_server

pytestmark = pytest.mark.slow

SMILE = {"attribute": "smile", "target": "smiling"}
HAIR = {"attribute": "hair", "target": "blond", "steps": 3}
OLD = {"attribute": "age", "target": "old", "exclude": []}
Z = np.random.RandomState(3).randn(16).astype(np.float32).tolist()
REQUESTS: list[dict[str, Any]] = [
    {"source": {"seed": 7}, "edits": [SMILE]},
    {"source": {"seed": 8}, "edits": [{**SMILE, "steps": 0}]},
    {"source": {"seed": 9}, "edits": [{**SMILE, "steps": 64}]},
    {"source": {"seed": 10}, "edits": [OLD]},
    {"source": {"seed": 11}, "edits": [HAIR, SMILE, OLD]},
    {"source": {"seed": 12}, "edits": [SMILE], "frames": "final"},
    {"source": {"seed": 13}, "edits": [{**OLD, "stop": {"probability": 0.8}}]},
    {"source": {"seed": 14}, "edits": [{**SMILE, "step_size": 0.123}], "truncation": 0.5},
    {"source": {"latent": Z}, "edits": [SMILE]},
    {"source": {"latent": Z, "space": "z"}, "edits": [HAIR], "output": {"format": "webp"}},
    {"source": {"seed": 15}, "edits": [SMILE], "output": {"format": "jpeg", "quality": 40}},
    {"source": {"seed": 16}, "edits": [SMILE], "output": {"size": 40}},
    {"model": "tiny-style", "source": {"seed": 17}, "edits": [SMILE]},
    {"model": "tiny-style", "source": {"seed": 18}, "edits": [{**SMILE, "layers": [1, 3]}]},
    {"model": "tiny-style", "source": {"seed": 19}, "edits": [HAIR], "truncation": 0.3},
    {"model": "tiny-style", "source": {"latent": [Z] * 6, "space": "w_plus"}, "edits": [OLD]},
    {"model": "tiny-style", "source": {"latent": Z, "space": "w"}, "edits": [SMILE, HAIR]},
    {"model": "tiny-cond", "source": {"seed": 20, "class_label": 1}, "edits": [SMILE]},
    {"model": "tiny-cond", "source": {"seed": 21, "class_label": [0.5, 0.5, 0]}, "edits": [OLD]},
    {
        "model": "tiny-cond",
        "source": {"latent": Z, "space": "z", "class_label": 2},
        "edits": [{**SMILE, "exclude": [{"attribute": "hair", "top_k": 5}]}],
        "frames": "final",
    },
]


@dataclass(frozen=True)
class Same:
    """What has to be the same, to the last bit."""

    images: tuple[bytes, ...]
    latent: bytes  # float32
    scores: str
    edits: str


@dataclass(frozen=True)
class Service:
    """One running service."""

    rest: str
    rpc: str


Way = Callable[[Service, dict[str, Any]], Same]


def of_json(answer: dict[str, Any]) -> Same:
    """Of the JSON of /v1/edit."""
    return Same(
        tuple(base64.b64decode(frame["image"]) for frame in answer["frames"]),
        np.array(answer["latent"]["values"], np.float32).tobytes(),
        json.dumps([frame["scores"] for frame in answer["frames"]], sort_keys=True),
        json.dumps(answer["edits"], sort_keys=True),
    )


def of_edit(edit: Edit) -> Same:
    """Of the client's answer."""
    return Same(
        tuple(frame.encoded for frame in edit.frames),
        edit.latent.tobytes(),
        json.dumps([frame.scores for frame in edit.frames], sort_keys=True),
        json.dumps([vars(one) for one in edit.edits], sort_keys=True),
    )


def by_rest(service: Service, request: dict[str, Any]) -> Same:
    answer = httpx.post(f"{service.rest}/v1/edit", json=request, timeout=60)
    return of_json(answer.raise_for_status().json())


def by_sse(service: Service, request: dict[str, Any]) -> Same:
    answer = httpx.post(f"{service.rest}/v1/edit/stream", json=request, timeout=60)
    frames, summary = [], {}
    for event in answer.raise_for_status().text.strip().split("\n\n"):
        name, data = (line.partition(": ")[2] for line in event.split("\n"))
        if name == "frame":
            frames.append(json.loads(data))
        else:
            assert name == "summary"
            summary = json.loads(data)
    return of_json({**summary, "frames": frames})


def by_job(service: Service, request: dict[str, Any]) -> Same:
    body = {"kind": "edit", "request": request}
    job = httpx.post(f"{service.rest}/v1/jobs", json=body).raise_for_status().json()
    while job["state"] in ("queued", "running"):
        time.sleep(0.02)
        job = httpx.get(f"{service.rest}/v1/jobs", params={"id": job["job_id"]}).json()
    assert job["state"] == "done", job
    return of_json(job["result"])


def by_grpc(service: Service, request: dict[str, Any]) -> Same:
    """By the generated stub alone."""
    with grpc.insecure_channel(service.rpc) as channel:
        stub: Any = edit_pb2_grpc.EditServiceStub(channel)  # type: ignore[no-untyped-call]
        answer = stub.Edit(message_of(request), timeout=60)
    scores = [
        {name: dict(one.classes) for name, one in frame.scores.items()} for frame in answer.frames
    ]
    masks = ("masked_channels", "kept_norm")
    names = ("attribute", "target", "method", "reached", "steps_taken", *masks)
    edits = [
        {
            **{name: getattr(edit, name) for name in names},
            "masked": [{"attribute": one.attribute, "top_k": one.top_k} for one in edit.masked],
        }
        for edit in answer.edits
    ]
    return Same(
        tuple(frame.image for frame in answer.frames),
        np.array(answer.latent.values, np.float32).tobytes(),
        json.dumps(scores, sort_keys=True),
        json.dumps(edits, sort_keys=True),
    )


def message_of(request: dict[str, Any]) -> edit_pb2.EditRequest:
    """The request in the words of edit.proto, where they differ from JSON's."""
    source = dict(request["source"])
    if "latent" in source:
        values = np.array(source["latent"], np.float32)
        rows = len(values) if values.ndim == 2 else 0
        source["latent"] = {"values": values.ravel().tolist(), "num_ws": rows}
    if "class_label" in source:
        label = source["class_label"]
        one_of = {"weights": {"values": label}} if isinstance(label, list) else {"index": label}
        source["class_label"] = one_of
    edits = [dict(edit) for edit in request["edits"]]
    for edit in edits:
        if "exclude" in edit:
            edit["exclude"] = {"items": edit["exclude"]}
        if "layers" in edit:
            start, end = edit["layers"]
            edit["layers"] = {"start": start, "end": end}
    message = {**request, "source": source, "edits": edits}
    return ParseDict(message, edit_pb2.EditRequest())


def options_of(request: dict[str, Any]) -> dict[str, Any]:
    """The request as keyword arguments of the client."""
    return {**{k: v for k, v in request.items() if k != "source"}, **request["source"]}


def by_sdk(scheme: str) -> Way:
    def ask(service: Service, request: dict[str, Any]) -> Same:
        with Client(service.rest if scheme == "rest" else f"grpc://{service.rpc}") as client:
            return of_edit(client.edit(**options_of(request)))

    return ask


def by_sdk_stream(scheme: str) -> Way:
    def ask(service: Service, request: dict[str, Any]) -> Same:
        with Client(service.rest if scheme == "rest" else f"grpc://{service.rpc}") as client:
            return of_edit(client.edit_stream(**options_of(request)).collect())

    return ask


def by_async_sdk(scheme: str) -> Way:
    def ask(service: Service, request: dict[str, Any]) -> Same:
        url = service.rest if scheme == "rest" else f"grpc://{service.rpc}"

        async def run() -> Edit:
            async with AsyncClient(url) as client:
                return await client.edit(**options_of(request))

        return of_edit(asyncio.run(run()))

    return ask


WAYS: dict[str, Way] = {
    "REST": by_rest,
    "gRPC": by_grpc,
    "SSE": by_sse,
    "job": by_job,
    "SDK": by_sdk("rest"),
    "SDK async": by_async_sdk("rest"),
    "SDK stream": by_sdk_stream("rest"),
    "SDK gRPC": by_sdk("rpc"),
    "SDK gRPC async": by_async_sdk("rpc"),
    "SDK gRPC stream": by_sdk_stream("rpc"),
}


@pytest.fixture(scope="module")
def uncached(
    tiny: StoredModel,
    tiny_style: StoredModel,
    tiny_cond: StoredModel,
    bentoml_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service that keeps no answers: every request is worked on."""
    log = tmp_path_factory.mktemp("uncached") / "log.txt"
    port = free_port()
    names = ",".join(model.card.name for model in (tiny, tiny_style, tiny_cond))
    arguments = ("--models", names, "--grpc-port", str(port))
    with running_server(bentoml_home, log, *arguments, GRADCTRL_CACHE_BYTES="0") as url:
        yield Service(url, f"127.0.0.1:{port}")


@pytest.mark.parametrize("index", range(len(REQUESTS)))
def test_every_way_gives_the_same(uncached: Service, index: int) -> None:
    request = REQUESTS[index]
    answers = {name: way(uncached, request) for name, way in WAYS.items()}
    expected = answers["REST"]
    digest = hashlib.sha256(b"".join((*expected.images, expected.latent))).hexdigest()[:12]
    same = [name for name, answer in answers.items() if answer == expected]
    print(f"\n{index + 1:2} {len(expected.images):3} frames {digest} same: {', '.join(same)}")
    assert expected.images
    assert same == list(WAYS)


def test_a_kept_answer_is_the_same_too(
    uncached: Service, service_url: str, grpc_address: str
) -> None:
    keeping = Service(service_url, grpc_address)
    for request in REQUESTS:
        expected = by_rest(uncached, request)
        assert by_sse(keeping, request) == expected
        assert by_rest(keeping, request) == expected
        assert by_grpc(keeping, request) == expected
