"""The REST API of the real service: answers, chaining, concurrency, metrics."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

EDIT = {
    "source": {"seed": 7},
    "edits": [{"attribute": "smile", "target": "smiling", "steps": 8}],
}


def pixels(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(int)


def post(url: str, path: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{url}{path}", json=body, timeout=60)


def edit(url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = post(url, "/v1/edit", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_models_lists_the_card(service_url: str) -> None:
    models = httpx.get(f"{service_url}/v1/models").json()["models"]
    assert [model["name"] for model in models] == ["tiny", "tiny-style", "tiny-cond"]
    assert [model["default"] for model in models] == [True, False, False]
    model = models[0]
    assert [attribute["name"] for attribute in model["attributes"]] == ["smile", "age", "hair"]


def test_health_openapi_and_docs(service_url: str) -> None:
    for path in ("/livez", "/readyz", "/v1/docs"):
        assert httpx.get(f"{service_url}{path}").status_code == 200
    schema = httpx.get(f"{service_url}/v1/openapi.json").json()
    assert not [path for path in schema["paths"] if "{" in path]


def test_an_edit_answers_frames_scores_and_a_receipt(service_url: str) -> None:
    answer = edit(service_url, EDIT)
    frames = answer["frames"]
    assert [frame["step"] for frame in frames] == list(range(9))
    assert pixels(frames[0]["image"]).shape == (16, 16, 3)
    before, after = (frames[i]["scores"]["smile"]["smiling"] for i in (0, -1))
    assert after > before
    for scores in frames[3]["scores"].values():
        assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
    assert set(frames[0]["scores"]["hair"]) == {"black", "brown", "blond"}
    (report,) = answer["edits"]
    assert report["steps_taken"] == 8
    assert report["masked"] == [{"attribute": "age", "top_k": 3}]
    assert report["masked_channels"] >= 3
    assert 0 < report["kept_norm"] < 1
    assert answer["receipt"]["seed"] == 7
    assert len(answer["receipt"]["model_sha256"]) == 64
    assert answer["model"].startswith("gradctrl-tiny:")


def test_the_same_request_gives_the_same_bytes(service_url: str) -> None:
    first, again = edit(service_url, EDIT), edit(service_url, EDIT)
    assert first["frames"] == again["frames"]
    assert first["latent"] == again["latent"]
    assert first["request_id"] != again["request_id"]


def test_the_latent_of_an_answer_is_the_next_source(service_url: str) -> None:
    first = edit(service_url, EDIT)
    source = {"latent": first["latent"]["values"], "space": first["latent"]["space"]}
    further = edit(service_url, {**EDIT, "source": source})
    assert further["frames"][0]["image"] == first["frames"][-1]["image"]


def test_several_edits_are_one_walk_after_the_other(service_url: str) -> None:
    body = {
        **EDIT,
        "edits": [
            {"attribute": "hair", "target": "blond", "steps": 3},
            {"attribute": "age", "target": "old", "steps": 2, "exclude": []},
        ],
    }
    answer = edit(service_url, body)
    places = [(frame["edit"], frame["step"]) for frame in answer["frames"]]
    assert places == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]
    assert [report["masked"] for report in answer["edits"]] == [[], []]


def test_final_frames_and_stop(service_url: str) -> None:
    everything = edit(service_url, EDIT)
    final = edit(service_url, {**EDIT, "frames": "final"})
    assert [frame["step"] for frame in final["frames"]] == [8]
    assert final["frames"][0]["image"] == everything["frames"][-1]["image"]
    stopped = {**EDIT["edits"][0], "steps": 60, "exclude": [], "stop": {"probability": 0.9}}  # type: ignore[index]
    answer = edit(service_url, {**EDIT, "edits": [stopped]})
    assert answer["edits"][0]["reached"] is True
    assert len(answer["frames"]) == answer["edits"][0]["steps_taken"] + 1 < 61


def test_zero_steps_answer_the_unedited_frame(service_url: str) -> None:
    body = {**EDIT, "edits": [{"attribute": "smile", "target": "smiling", "steps": 0}]}
    assert len(edit(service_url, body)["frames"]) == 1


@pytest.mark.parametrize(
    ("extra", "media", "frames"),
    [
        ({}, "image/png", 1),
        ({"output": {"format": "jpeg", "quality": 50}}, "image/jpeg", 1),
        ({"animation": True, "output": {"format": "webp"}}, "image/webp", 9),
        ({"animation": True}, "image/webp", 9),
        ({"animation": True, "output": {"format": "gif", "size": 32}}, "image/gif", 9),
    ],
)
def test_edit_image_answers_the_image_itself(
    service_url: str, extra: dict[str, Any], media: str, frames: int
) -> None:
    answer = post(service_url, "/v1/edit/image", {**EDIT, **extra})
    assert answer.headers["content-type"] == media
    assert getattr(Image.open(io.BytesIO(answer.content)), "n_frames", 1) == frames


def test_generate_score_and_directions_agree_with_edit(service_url: str) -> None:
    generated = post(service_url, "/v1/generate", {"seeds": [7, 8]}).json()
    edited = edit(service_url, EDIT)
    assert generated["images"][0] == edited["frames"][0]["image"]
    latents = [latent["values"] for latent in generated["latents"]]
    again = post(service_url, "/v1/generate", {"latents": latents}).json()
    assert again["images"] == generated["images"]
    scores = post(service_url, "/v1/score", {"latents": latents}).json()["scores"]
    for attribute, classes in edited["frames"][0]["scores"].items():
        assert scores[0][attribute] == pytest.approx(classes, abs=1e-5)
    body = {"latent": latents[0], "attribute": "smile", "target": "smiling"}
    found = post(service_url, "/v1/directions", body).json()
    assert np.linalg.norm(found["direction"]) == pytest.approx(1, abs=1e-5)
    assert found["masked"] == [{"attribute": "age", "top_k": 3}]
    assert found["direction"].count(0.0) == found["masked_channels"]


def test_truncation_applies_to_seeds(service_url: str) -> None:
    full, half = (
        post(service_url, "/v1/generate", {"seeds": [7], "truncation": psi}).json()["latents"][0]
        for psi in (1.0, 0.5)
    )
    np.testing.assert_allclose(half["values"], np.array(full["values"]) / 2, rtol=1e-6)


def test_sixteen_clients_get_what_one_gets(service_url: str) -> None:
    targets = [("smile", "smiling"), ("age", "old"), ("hair", "blond"), ("hair", "black")]
    bodies = [
        {
            "source": {"seed": seed},
            "edits": [{"attribute": a, "target": k, "steps": 8, "exclude": []}],
        }
        for seed in range(20)
        for a, k in targets
    ]
    alone = [edit(service_url, body) for body in bodies]
    with ThreadPoolExecutor(16) as clients:
        together = list(clients.map(lambda body: edit(service_url, body), bodies * 4))
    for one, many in zip(alone * 4, together, strict=True):
        assert one["frames"] == many["frames"]
        assert one["latent"] == many["latent"]


def test_metrics_of_all_processes_are_on_the_api(service_url: str) -> None:
    edit(service_url, EDIT)
    text = httpx.get(f"{service_url}/metrics").text
    for line in (
        'gradctrl_edits_total{attribute="smile",method="gradctrl",model="tiny",outcome=',
        'gradctrl_edit_seconds_count{model="tiny"}',
        'gradctrl_trajectory_seconds_count{model="tiny"}',
        'gradctrl_render_seconds_count{model="tiny"}',
        'gradctrl_render_batch_size_count{model="tiny"}',
        'gradctrl_frames_total{model="tiny"}',
        'gradctrl_queue_depth{runner="generator"} 0.0',
        'gradctrl_queue_depth{runner="classifier"} 0.0',
        'gradctrl_in_flight{runner="generator"} 0.0',
        'gradctrl_model_info{backend="torch",device="cpu",family="dcgan",model="tiny"',
    ):
        assert line in text, line
