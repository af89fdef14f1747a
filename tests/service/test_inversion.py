"""Images as sources, over the real service: every transport, every mode, and what is refused."""

import base64
import io
import json
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import psutil
import pytest
from gradctrl_client import Client
from PIL import Image

from service.validation import MAX_PARTS
from service.wire import edit_pb2 as wire
from tests.doubles import RESOLUTION
from tests.rpc_calls import refused, stub_of

EDIT = {"attribute": "smile", "target": "smiling", "steps": 2, "exclude": []}


def png(pixels: np.ndarray, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def sample(service_url: str) -> bytes:
    """An image that the DCGAN made, larger than it makes them."""
    body = {"seeds": [3], "output": {"size": 40}}
    answer = httpx.post(f"{service_url}/v1/generate", json=body, timeout=60).json()
    return base64.b64decode(answer["images"][0])


def post(url: str, path: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{url}{path}", json=body, timeout=60)


def upload(url: str, image: bytes, request: str, **options: Any) -> httpx.Response:
    files = {"image": ("photo.png", image)}
    path, data = f"{url}/v1/edit/upload", {"request": request}
    return httpx.post(path, files=files, data=data, timeout=60, **options)


def test_invert_finds_the_latent_of_an_own_sample(service_url: str, sample: bytes) -> None:
    body = {"image": text(sample), "inversion": {"steps": 300}}
    answer = post(service_url, "/v1/invert", body).json()
    assert answer["latent"]["space"] == "z"
    found = answer["inversion"]
    assert found["mode"] == "optimize"
    assert found["errors"]["mse"] < 0.01
    assert found["errors"]["psnr"] == pytest.approx(-10 * np.log10(found["errors"]["mse"]))
    assert not found["aligned"]
    assert 0 < found["steps_taken"] <= 300
    with Image.open(io.BytesIO(base64.b64decode(answer["reconstruction"]))) as image:
        assert image.size == (RESOLUTION, RESOLUTION)
    source = {"latent": answer["latent"]["values"]}
    again = post(service_url, "/v1/edit", {"source": source, "edits": [{**EDIT, "steps": 0}]})
    assert again.json()["frames"][0]["image"] == answer["reconstruction"]


@pytest.mark.parametrize("model", ["tiny", "tiny-style"])
@pytest.mark.parametrize("mode", ["optimize", "pivotal"])
def test_an_edit_starts_from_an_image(
    service_url: str, sample: bytes, model: str, mode: str
) -> None:
    body = {
        "model": model,
        "source": {"image": text(sample)},
        "edits": [EDIT],
        "inversion": {"mode": mode, "steps": 20},
    }
    answer = post(service_url, "/v1/edit", body).json()
    assert len(answer["frames"]) == 3
    assert answer["inversion"]["mode"] == mode
    assert answer["inversion"]["steps_taken"] > 0
    assert answer["timings_ms"]["inversion"] > 0
    assert answer["receipt"]["seed"] is None


def test_pivotal_tuning_is_nearer_and_touches_no_other_request(
    service_url: str, sample: bytes
) -> None:
    seeds = {"model": "tiny-style", "seeds": [1, 2]}
    before = post(service_url, "/v1/generate", seeds).json()
    errors = {}
    for mode in ("optimize", "pivotal"):
        body = {
            "model": "tiny-style",
            "image": text(sample),
            "inversion": {"mode": mode, "steps": 30},
        }
        errors[mode] = post(service_url, "/v1/invert", body).json()["inversion"]["errors"]["mse"]
    assert errors["pivotal"] < errors["optimize"]
    fresh = {**seeds, "seeds": [1, 2, 3]}  # not the kept answer
    assert post(service_url, "/v1/generate", fresh).json()["images"][:2] == before["images"]


def test_edits_of_one_image_share_its_inversion_whatever_they_answer(
    service_url: str, sample: bytes
) -> None:
    body = {"source": {"image": text(sample)}, "edits": [EDIT], "inversion": {"steps": 7}}
    first = post(service_url, "/v1/edit", body).json()
    assert first["inversion"]["seconds"] > 0
    for output in ({"size": 32}, {"format": "jpeg", "quality": 50}, {"frame_ms": 40}):
        again = post(service_url, "/v1/edit", {**body, "output": output}).json()
        assert again["inversion"]["seconds"] == 0
        assert again["latent"] == first["latent"]


def test_an_upload_is_the_same_edit(service_url: str, sample: bytes) -> None:
    knobs = {"edits": [EDIT], "inversion": {"steps": 10}}
    uploaded = upload(service_url, sample, json.dumps(knobs))
    assert uploaded.status_code == httpx.codes.OK, uploaded.text
    body = {**knobs, "source": {"image": text(sample)}}
    posted = post(service_url, "/v1/edit", body).json()
    assert uploaded.json()["frames"] == posted["frames"]


def test_the_request_of_an_upload_may_be_a_file(service_url: str, sample: bytes) -> None:
    """As a browser sends a Blob."""

    def upload_with(request: bytes) -> httpx.Response:
        files = {
            "image": ("photo.png", sample, "image/png"),
            "request": ("blob", request, "application/json"),
        }
        return httpx.post(f"{service_url}/v1/edit/upload", files=files, timeout=60)

    knobs = {"edits": [EDIT], "inversion": {"steps": 10}}
    uploaded = upload_with(json.dumps(knobs).encode())
    assert uploaded.status_code == httpx.codes.OK, uploaded.text
    many = b"[[]" + b",[]" * MAX_PARTS + b"]"
    for request in (b"\xff", many):
        assert upload_with(request).json()["error"]["field"] == "request"
    assert upload_with(many).json()["error"]["allowed"] == [0, MAX_PARTS]


def test_a_charset_that_makes_no_text_is_refused_too(service_url: str, sample: bytes) -> None:
    """A lone surrogate, which nothing can write as UTF-8 again."""
    parts = {"image": ("photo.png", sample), "request": (None, rb'{"edits": "\ud800"}')}
    asked = httpx.Request("POST", f"{service_url}/v1/edit/upload", files=parts)
    content = f"{asked.headers['content-type']}; charset=unicode_escape"
    answer = httpx.post(asked.url, content=asked.read(), headers={"content-type": content})
    assert answer.status_code == httpx.codes.BAD_REQUEST, answer.text
    assert answer.json()["error"]["field"] == "request.edits"


@pytest.mark.parametrize(
    ("request_field", "field"),
    [
        ("{", "request"),
        ("[]", "request"),
        (json.dumps({"edits": [EDIT], "source": {"seed": 1}}), "request.source"),
        (json.dumps({"edits": []}), "request.edits"),
    ],
)
def test_an_upload_names_what_is_wrong(
    service_url: str, sample: bytes, request_field: str, field: str
) -> None:
    answer = upload(service_url, sample, request_field)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["error"]["field"] == field


@pytest.mark.parametrize(
    ("changed", "knobs", "field"),
    [
        (b"no image", {}, "image"),
        (None, {"edits": [{**EDIT, "target": "grinning"}]}, "request.edits[0].target"),
    ],
)
def test_an_edit_of_an_upload_is_refused_by_the_fields_of_the_form(
    service_url: str, sample: bytes, changed: bytes | None, knobs: dict[str, Any], field: str
) -> None:
    answer = upload(service_url, changed or sample, json.dumps({"edits": [EDIT], **knobs}))
    assert answer.json()["error"]["field"] == field


def test_a_key_of_another_upload_is_named(service_url: str, sample: bytes) -> None:
    headers = {"Idempotency-Key": "of-another-upload"}
    request = {"edits": [EDIT], "inversion": {"steps": 1}}
    first = upload(service_url, sample, json.dumps(request), headers=headers)
    assert first.status_code == httpx.codes.OK, first.text
    other = upload(service_url, sample, json.dumps({**request, "frames": "final"}), headers=headers)
    assert other.json()["error"]["field"] == "Idempotency-Key"


def test_paste_back_gives_the_photo_with_the_edit_in_it(service_url: str) -> None:
    photo = np.full((60, 90, 3), 40, np.uint8)
    body = {
        "source": {"image": text(png(photo))},
        "edits": [EDIT],
        "inversion": {"steps": 5, "max_error": 1.0},
        "frames": "final",
        "output": {"paste_back": True},
    }
    answer = post(service_url, "/v1/edit", body).json()
    with Image.open(io.BytesIO(base64.b64decode(answer["frames"][0]["image"]))) as image:
        pixels = np.asarray(image)
    assert pixels.shape == photo.shape
    assert (pixels[:, :14] == 40).all()  # left of the square
    assert (pixels[20:40, 35:55] != 40).any()


def test_grpc_streams_progress_and_ends_with_the_result_of_rest(
    service_url: str, grpc_address: str, sample: bytes
) -> None:
    knobs = wire.Inversion(steps=300)
    with stub_of(grpc_address) as stub:
        events = list(stub.Invert(wire.InvertRequest(image=sample, inversion=knobs)))
    assert [event.WhichOneof("event") for event in events][-1] == "result"
    body = {"image": text(sample), "inversion": {"steps": 300}}
    rest = post(service_url, "/v1/invert", body).json()
    result = events[-1].result
    assert list(result.latent.values) == pytest.approx(rest["latent"]["values"])
    assert text(result.reconstruction) == rest["reconstruction"]
    assert result.inversion.errors.mse == rest["inversion"]["errors"]["mse"]


def test_a_job_inverts(service_url: str, sample: bytes) -> None:
    request = {"image": text(sample), "inversion": {"steps": 40}}
    job = post(service_url, "/v1/jobs", {"kind": "invert", "request": request}).json()
    deadline = time.monotonic() + 60
    while job["state"] not in ("done", "failed") and time.monotonic() < deadline:
        time.sleep(0.05)
        job = httpx.get(f"{service_url}/v1/jobs", params={"id": job["job_id"]}).json()
    assert job["state"] == "done", job
    assert job["result"]["inversion"]["steps_taken"] > 0


def test_an_image_that_is_too_far_says_how_far(service_url: str, sample: bytes) -> None:
    body = {"image": text(sample), "inversion": {"steps": 1, "max_error": 1e-9}}
    answer = post(service_url, "/v1/invert", body)
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("inversion_failed", "image")
    assert "mean squared error" in error["message"]


def test_a_deadline_ends_a_search(grpc_address: str, sample: bytes) -> None:
    knobs = wire.Inversion(steps=500)
    request = wire.InvertRequest(model="tiny-style", image=sample, inversion=knobs)
    with stub_of(grpc_address) as stub, pytest.raises(grpc.RpcError) as caught:
        list(stub.Invert(request, timeout=0.05))  # no search of so many steps is as fast
    assert refused(caught.value).status is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"inversion": {"mode": "encoder"}}, "inversion.mode"),  # the tiny models have none
        ({"inversion": {"space": "w"}}, "inversion.space"),  # of a DCGAN
        ({"inversion": {"steps": 0}}, "inversion.steps"),
        ({"image": "not base64!"}, "image"),
    ],
)
def test_knobs_are_checked(
    service_url: str, sample: bytes, change: dict[str, Any], field: str
) -> None:
    answer = post(service_url, "/v1/invert", {"image": text(sample), **change})
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["error"]["field"] == field


def test_knobs_without_an_image_are_refused(service_url: str) -> None:
    body = {"source": {"seed": 1}, "edits": [EDIT], "inversion": {"steps": 3}}
    answer = post(service_url, "/v1/edit", body)
    assert answer.json()["error"]["field"] == "inversion"


def bomb(side: int) -> bytes:
    """A small PNG of side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    row = zlib.compress(bytes(1 + side * 3) * 200, 9)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_is_decoded(service_url: str) -> None:
    before = _runners_memory()
    answer = post(service_url, "/v1/invert", {"image": text(bomb(20_000))})
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert answer.json()["error"]["code"] == "image_too_large"
    assert _runners_memory() - before < 100_000_000


def _runners_memory() -> int:
    own = [one for one in psutil.process_iter(["cmdline"]) if _is_ours(one)]
    assert own
    return sum(one.memory_info().rss for one in own)


def _is_ours(process: psutil.Process) -> bool:
    words = " ".join(process.info["cmdline"] or [])
    return "_bentoml_impl" in words and str(Path.cwd()) in words


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><body>no image</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>",
        png(np.zeros((1, 1, 3), np.uint8)),
        png(np.zeros((64, 64, 3), np.uint8))[:60],
        png(np.zeros((64, 64, 3), np.uint8), "GIF"),
    ],
    ids=["empty", "html", "svg", "one pixel", "truncated", "gif"],
)
def test_what_is_no_photo_is_refused(service_url: str, data: bytes) -> None:
    body = {"source": {"image": text(data)}, "edits": [EDIT]}
    answer = post(service_url, "/v1/edit", body)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("bad_image", "source.image")


def test_renders_go_on_beside_a_search(service_url: str, sample: bytes) -> None:
    request = {"model": "tiny-style", "image": text(sample), "inversion": {"steps": 400}}
    job = post(service_url, "/v1/jobs", {"kind": "invert", "request": request}).json()
    for seed in range(100, 110):
        assert post(service_url, "/v1/generate", {"seeds": [seed]}).status_code == httpx.codes.OK
    httpx.delete(f"{service_url}/v1/jobs", params={"id": job["job_id"]})


def test_the_metric_counts_modes(service_url: str, sample: bytes) -> None:
    post(service_url, "/v1/invert", {"image": text(sample), "inversion": {"steps": 2}})
    scraped = httpx.get(f"{service_url}/metrics").text
    assert 'gradctrl_inversion_seconds_count{mode="optimize",model="tiny"}' in scraped


def test_the_client_edits_an_image_alike_on_both_transports(
    service_url: str, grpc_address: str, sample: bytes
) -> None:
    answers = []
    for address in (service_url, f"grpc://{grpc_address}"):
        with Client(address) as client:
            answers.append(
                client.edit(
                    "smile",
                    "smiling",
                    image=sample,
                    steps=1,
                    inversion={"steps": 3, "max_error": 1.0},
                )
            )
    rest, rpc = answers
    assert rest.inversion is not None
    assert rpc.inversion is not None
    assert rest.inversion["errors"] == rpc.inversion["errors"]
    assert [frame.encoded for frame in rest.frames] == [frame.encoded for frame in rpc.frames]
