"""`edits[].method` on the real service, over every transport; expected numbers by plain code."""

import base64
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import torch
from gradctrl_client import BadRequestError, Client
from PIL import Image
from torch import Tensor

from editing import class_probabilities, edited_point
from model_store import (
    METHODS,
    StoredModel,
    stored_directions,
    stored_methods,
    synthesise_edited,
    to_pixels,
)
from service.wire import edit_pb2 as wire
from tests.doubles import NUM_WS, Z_DIM
from tests.rpc_calls import refused, stub_of
from tests.servers import free_port, running_server

LATENT = np.random.default_rng(9).normal(size=(NUM_WS, Z_DIM)).astype(np.float32)
WALKS = ["gradctrl", "gradctrl-released", "gradctrl-paper"]
LAYERS = {"ganspace": (2, 4)}  # towards old; of the others all
OLD: dict[str, Any] = {"attribute": "age", "target": "old", "steps": 3}
STYLE: dict[str, Any] = {**OLD, "method": "stylespace"}


@dataclass(frozen=True)
class Service:
    """One running service."""

    rest: str
    rpc: str


@pytest.fixture(scope="module")
def service(
    tiny_lines: StoredModel,
    tiny: StoredModel,
    bentoml_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """Serves a StyleGAN with directions of every baseline, and a DCGAN without any."""
    log, port = tmp_path_factory.mktemp("methods") / "log.txt", free_port()
    names = f"{tiny_lines.card.name},{tiny.card.name}"
    arguments = ("--models", names, "--grpc-port", str(port))
    with running_server(bentoml_home, log, *arguments) as url:
        yield Service(url, f"127.0.0.1:{port}")


def post(service: Service, path: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{service.rest}{path}", json=body, timeout=60)


def edit(service: Service, *edits: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"source": {"latent": LATENT.tolist()}, "edits": list(edits), **more}
    answer = post(service, "/v1/edit", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pixels(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image))).astype(int)


def assert_shows(image: str, model: StoredModel, latent: Tensor, offset: Tensor | None) -> None:
    """A PNG holds the synthesis of a latent [L, C] whose styles were moved by an offset [S]."""
    moved = None if offset is None else offset[None]
    expected = to_pixels(synthesise_edited(model.generator(), latent[None], moved))[0]
    assert np.abs(pixels(base64.b64decode(image)) - expected.astype(int)).max() <= 1


def style_vector(model: StoredModel, attribute: str) -> Tensor:  # [S], towards the second class
    found = {one.key: one for one in stored_directions(model)}
    return found[f"stylespace.{attribute}"].vectors[1]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_walks_as_it_does_alone(
    service: Service, tiny_lines: StoredModel, method: str
) -> None:
    answer = edit(service, {**OLD, "method": method})
    path = stored_methods(tiny_lines, [method])[method].path(
        torch.tensor(LATENT[None]), 1, torch.tensor([1]), 3
    )
    (report,) = answer["edits"]
    assert report["method"] == method
    assert answer["receipt"]["methods"] == [method]
    taken = report["steps_taken"]
    assert len(answer["frames"]) == taken + 1
    for step, frame in enumerate(answer["frames"]):
        offset = None if path.styles is None else path.styles[0, step]
        assert_shows(frame["image"], tiny_lines, path.latents[0, step], offset)
    np.testing.assert_allclose(answer["latent"]["values"], path.latents[0, taken], atol=1e-5)
    assert (report["masked"], report["masked_channels"], report["kept_norm"]) == ([], 0, 1.0)
    assert taken == 3 or method == "gradctrl-paper"


@pytest.mark.parametrize("method", [name for name in METHODS if name != "stylespace"])
def test_scores_and_reached_are_those_of_the_heads(
    service: Service, tiny_lines: StoredModel, method: str
) -> None:
    answer = edit(service, {**OLD, "method": method, "steps": 12})
    heads = tiny_lines.stacked_heads()
    assert heads is not None
    end = torch.tensor(answer["latent"]["values"])[None]
    ranges = torch.tensor([LAYERS.get(method, (0, NUM_WS))])
    expected = class_probabilities(heads, edited_point(end, ranges))[0]
    scores = answer["frames"][-1]["scores"]
    assert scores["age"]["old"] == pytest.approx(float(expected[1, 1]), abs=1e-5)
    assert scores["hair"]["blond"] == pytest.approx(float(expected[2, 2]), abs=1e-5)
    assert answer["edits"][0]["reached"] is bool(expected[1, 1] > 0.5)


def test_masks_of_the_released_method_are_told(service: Service) -> None:
    smile = {"attribute": "smile", "target": "smiling", "method": "gradctrl-released"}
    answer = edit(service, smile)
    (report,) = answer["edits"]
    assert report["masked"] == [{"attribute": "age", "top_k": 3}]
    assert (report["steps_taken"], report["masked_channels"]) == (9, 3)
    assert 0 < report["kept_norm"] < 1
    moved = np.diff([LATENT, answer["latent"]["values"]], axis=0)[0]
    assert (moved != 0).any()


# --- StyleSpace


def test_styles_move_and_the_latent_stays(service: Service, tiny_lines: StoredModel) -> None:
    answer = edit(service, STYLE)
    np.testing.assert_array_equal(np.float32(answer["latent"]["values"]), LATENT)
    assert answer["edits"][0]["reached"] is None
    assert answer["frames"][0]["scores"]["age"]["old"] > 0
    assert [frame["scores"] for frame in answer["frames"][1:]] == [{}] * 3
    assert len({frame["image"] for frame in answer["frames"]}) == 4


def test_style_edits_add_up_after_edits_of_the_latent(
    service: Service, tiny_lines: StoredModel
) -> None:
    line = {**OLD, "method": "interfacegan", "step_size": 0.5, "layers": [1, 3]}
    smile = {"attribute": "smile", "target": "smiling", "steps": 2, "method": "stylespace"}
    answer = edit(service, line, smile, {**STYLE, "step_size": 0.5, "steps": 1})
    latent = torch.tensor(LATENT)
    latent[1:3, 4] += 1.5
    np.testing.assert_allclose(answer["latent"]["values"], latent, atol=1e-5)
    offset = 2 * style_vector(tiny_lines, "smile") + 0.5 * style_vector(tiny_lines, "age")
    assert_shows(answer["frames"][-1]["image"], tiny_lines, latent, offset)
    assert_shows(answer["frames"][3]["image"], tiny_lines, latent, None)
    assert [edit["reached"] is None for edit in answer["edits"]] == [False, True, True]
    final = edit(service, line, smile, {**STYLE, "step_size": 0.5, "steps": 1}, frames="final")
    assert final["frames"][0]["scores"] == {}
    assert_shows(final["frames"][0]["image"], tiny_lines, latent, offset)


def test_a_style_edit_is_repeated_on_the_latent_of_its_answer(service: Service) -> None:
    first = edit(service, STYLE)
    then = edit(service, STYLE, source={"latent": first["latent"]["values"]})
    assert then["frames"] == first["frames"]


# --- refusals


@pytest.mark.parametrize(
    ("model", "wrong", "field", "allowed", "message"),
    [
        ("tiny-lines", {"method": "pca"}, "method", list(METHODS), "Input should be"),
        ("tiny", {"method": "stylespace"}, "method", WALKS, "has no directions of stylespace"),
        (
            "tiny-lines",
            {"attribute": "smile", "target": "smiling", "method": "ganspace"},
            "method",
            [*WALKS, "interfacegan", "stylespace"],
            "for 'smile'",
        ),
        ("tiny-lines", {**STYLE, "target": "young"}, "target", ["old"], "no direction towards"),
        ("tiny-lines", {**STYLE, "stop": {"probability": 0.9}}, "stop", [], "cannot read"),
        ("tiny-lines", {**STYLE, "layers": [0, 2]}, "layers", [], "style channels"),
        (
            "tiny-lines",
            {"method": "ganspace", "exclude": [{"attribute": "smile", "top_k": 2}]},
            "exclude",
            [],
            "masks nothing",
        ),
        ("tiny-lines", {"method": "gradctrl-released", "step_size": 1}, "step_size", [], "4 / 9"),
    ],
)
def test_what_cannot_be_done_is_refused_over_both_apis(
    service: Service, model: str, wrong: dict[str, Any], field: str, allowed: Any, message: str
) -> None:
    edits = [OLD, {**OLD, **wrong}]
    body = {"model": model, "source": {"seed": 1}, "edits": edits}
    answer = post(service, "/v1/edit", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "bad_request")
    assert (error["field"], error.get("allowed")) == (f"edits[1].{field}", allowed)
    assert message in error["message"]
    job = post(service, "/v1/jobs", {"kind": "edit", "request": body}).json()["error"]
    assert job["field"] == f"request.edits[1].{field}"
    with Client(f"grpc://{service.rpc}") as client, pytest.raises(BadRequestError) as raised:
        client.edit(model=model, seed=1, edits=edits)
    assert (raised.value.field, raised.value.allowed) == (error["field"], error.get("allowed"))


def test_the_latent_does_not_move_after_styles(service: Service) -> None:
    edits = [STYLE, {**OLD, "method": "gradctrl"}]
    error = post(service, "/v1/edit", {"source": {"seed": 1}, "edits": edits}).json()["error"]
    assert (error["field"], error["allowed"]) == ("edits[1].method", ["stylespace"])
    assert "put it before: the last image is the same" in error["message"]


def test_a_walk_without_a_gradient_is_refused_by_its_method(service: Service) -> None:
    masked = {**OLD, "exclude": [{"attribute": "smile", "top_k": 16}]}
    body = {"source": {"seed": 1}, "edits": [{**masked, "method": "gradctrl-released"}]}
    answer = post(service, "/v1/edit", body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("no_editable_channels", "edits[0].method")


# --- transports


@pytest.mark.parametrize("method", ["gradctrl-released", "interfacegan", "stylespace"])
def test_all_transports_give_the_same(service: Service, method: str) -> None:
    edits = [{**OLD, "method": method}]
    body: dict[str, Any] = {"source": {"seed": 5}, "edits": edits}
    whole = post(service, "/v1/edit", body).json()
    images = [base64.b64decode(frame["image"]) for frame in whole["frames"]]
    assert post(service, "/v1/edit/image", body).content == images[-1]
    streamed = post(service, "/v1/edit/stream", body).text.strip().split("\n\n")
    events = [json.loads(event.split("data: ", 1)[1]) for event in streamed]
    assert events[:-1] == whole["frames"]
    assert events[-1]["edits"] == whole["edits"]
    assert events[-1]["receipt"] == whole["receipt"]
    job = post(service, "/v1/jobs", {"kind": "edit", "request": body}).json()
    while job["state"] in ("queued", "running"):
        time.sleep(0.1)
        asked = {"id": job["job_id"]}
        job = httpx.get(f"{service.rest}/v1/jobs", params=asked, timeout=60).json()
    assert job["result"]["frames"] == whole["frames"]
    for url in (service.rest, f"grpc://{service.rpc}"):
        with Client(url) as client:
            answer = client.edit(seed=5, edits=edits)
            with client.edit_stream(seed=5, edits=edits) as stream:
                assert [frame.encoded for frame in stream] == images
            assert stream.summary is not None
            assert stream.summary.edits == answer.edits
        assert [frame.encoded for frame in answer.frames] == images
        assert [frame.scores for frame in answer.frames] == [f["scores"] for f in whole["frames"]]
        (applied,) = answer.edits
        assert vars(applied) == whole["edits"][0]
        assert answer.receipt == whole["receipt"]


def test_grpc_leaves_reached_unset_where_nothing_can_tell(service: Service) -> None:
    one = wire.AttributeEdit(attribute="age", target="old", method="stylespace")
    request = wire.EditRequest(source=wire.Source(seed=2), edits=[one])
    with stub_of(service.rpc) as stub:
        answer = stub.Edit(request, timeout=60)
        assert not answer.edits[0].HasField("reached")
        assert answer.edits[0].method == "stylespace"
        request.edits[0].method = "pca"
        with pytest.raises(grpc.RpcError) as raised:
            stub.Edit(request, timeout=60)
    details = refused(raised.value)
    assert (details.field, details.allowed) == ("edits[0].method", list(METHODS))


def test_models_say_which_methods_they_have(service: Service) -> None:
    lines, plain = httpx.get(f"{service.rest}/v1/models", timeout=30).json()["models"]
    everything = ["smile", "age", "hair"]
    assert plain["methods"] == dict.fromkeys(WALKS, everything)
    assert lines["methods"] == {
        **dict.fromkeys(WALKS, everything),
        "interfacegan": ["smile", "age"],
        "interfacegan-conditional": ["age"],
        "ganspace": ["age"],
        "stylespace": ["smile", "age"],
    }
    with Client(f"grpc://{service.rpc}") as client:
        assert [model["methods"] for model in client.models()] == [
            lines["methods"],
            plain["methods"],
        ]


# --- caches and metrics


def test_a_method_is_part_of_the_request(service: Service) -> None:
    body: dict[str, Any] = {"source": {"seed": 77}, "edits": [OLD]}
    first = post(service, "/v1/edit", body)
    other = post(service, "/v1/edit", {**body, "edits": [{**OLD, "method": "interfacegan"}]})
    assert first.headers["etag"] != other.headers["etag"]
    assert first.json()["frames"][-1] != other.json()["frames"][-1]
    again = post(service, "/v1/edit", {**body, "edits": [{**OLD, "method": "gradctrl"}]})
    assert again.headers["etag"] == first.headers["etag"]
    key = {"Idempotency-Key": "methods"}
    url = f"{service.rest}/v1/edit"
    assert httpx.post(url, json=body, headers=key, timeout=30).status_code == 200
    changed = {**body, "edits": [STYLE]}
    assert httpx.post(url, json=changed, headers=key, timeout=30).status_code == 422


def test_edits_are_counted_by_their_method(service: Service) -> None:
    edit(service, OLD, {**OLD, "method": "ganspace"}, STYLE, truncation=0.123)
    text = httpx.get(f"{service.rest}/metrics", timeout=30).text
    counted = [line for line in text.splitlines() if line.startswith("gradctrl_edits_total")]
    for method, outcome in (("gradctrl", "reached"), ("stylespace", "unread")):
        part = f'method="{method}",model="tiny-lines",outcome="{outcome}"'
        assert any(part in line for line in counted), counted
    methods = {line.split('method="')[1].split('"')[0] for line in counted}
    assert {"gradctrl", "ganspace", "stylespace"} <= methods <= set(METHODS)


def test_styles_move_in_a_photo_that_the_generator_was_tuned_to(service: Service) -> None:
    """Of a stylespace edit with pivotal tuning: the frame goes back into the photo's square."""
    seeds = {"seeds": [3], "output": {"size": 40}}
    photo = np.zeros((40, 60, 3), np.uint8)
    drawn = base64.b64decode(post(service, "/v1/generate", seeds).json()["images"][0])
    photo[:, 10:50] = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB"))
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    body = {
        "source": {"image": base64.b64encode(file.getvalue()).decode()},
        "inversion": {"mode": "pivotal", "steps": 20},
        "output": {"paste_back": True},
    }
    answer = post(service, "/v1/edit", {**body, "edits": [STYLE]})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["edits"][0]["reached"] is None
    frames = [pixels(base64.b64decode(frame["image"])) for frame in found["frames"]]
    assert [frame.shape for frame in frames] == [photo.shape] * 4
    still = post(service, "/v1/edit", {**body, "edits": [{**STYLE, "steps": 0}]}).json()
    assert still["frames"][0]["image"] == found["frames"][0]["image"]
    moved = np.abs(frames[-1] - frames[0]).max(axis=(0, 2))  # of each column
    assert moved[12:48].max() > 2
    assert (frames[-1][:, [0, 59]] == photo[:, [0, 59]]).all()
