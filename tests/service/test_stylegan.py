"""StyleGANs on the real server: source spaces, layer ranges, class labels, chained edits.

Expected numbers are computed in this process by the plainest code there is.
"""

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from editing import class_probabilities, walk
from model_store import PlannedEdit, StoredModel, plan_edit, to_pixels, walk_plan, z_from_seed
from tests.doubles import CUTOFF, NUM_WS, Z_DIM

W_PLUS = np.random.default_rng(5).normal(size=(NUM_WS, Z_DIM)).astype(np.float32)
Z = np.random.default_rng(6).normal(size=Z_DIM).astype(np.float32)
SMILE = {"attribute": "smile", "target": "smiling", "steps": 4}
CLASS = {"class_label": 1}


def post(url: str, path: str, model: str, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{url}{path}", json={"model": model, **body}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def edit(
    url: str, source: dict[str, Any], *edits: dict[str, Any], model: str = "tiny-style", **more: Any
) -> dict[str, Any]:
    body = {"source": source, "edits": list(edits or [SMILE]), **more}
    return post(url, "/v1/edit", model, **body)


def values(answer: dict[str, Any]) -> np.ndarray:
    return np.array(answer["latent"]["values"], dtype=np.float32)


def pixels(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(int)


def assert_shows(image: str, model: StoredModel, latent: np.ndarray | Tensor) -> None:
    """A PNG holds the synthesis of a latent [L, C], but for the rounding of other batch sizes."""
    expected = to_pixels(model.generator().synthesis(torch.as_tensor(latent)[None]))[0]
    assert np.abs(pixels(image) - expected.astype(int)).max() <= 1


def mapped(model: StoredModel, z: np.ndarray, psi: float, label: Any = None) -> np.ndarray:
    """The latent [L, C] of a z, by the generator itself."""
    c = None if label is None else torch.tensor([label])
    return model.generator().mapping(torch.tensor(z[None]), c, psi, CUTOFF)[0].numpy()


def walked(model: StoredModel, start: np.ndarray, planned: PlannedEdit) -> tuple[Tensor, Tensor]:
    """Latents [T, L, C] and probabilities [T, A, K] of one edit of a latent [L, C]."""
    heads = model.stacked_heads()
    assert heads is not None
    low, high = planned.layers
    plan, _ = walk_plan([planned], "cpu")
    points = walk(heads, torch.tensor(start[low:high].mean(axis=0)[None]), plan).points[0]
    latents = torch.tensor(start).repeat(len(points), 1, 1)
    for t in range(len(points)):
        for layer in range(low, high):
            latents[t, layer] += points[t] - points[0]
    return latents, class_probabilities(heads, points)


# --- source spaces


@pytest.mark.parametrize("psi", [None, 0.5, 1.0])
def test_seeds_and_z_are_mapped_alike(
    service_url: str, tiny_style: StoredModel, psi: float | None
) -> None:
    z = z_from_seed(7, Z_DIM)
    by_seed = edit(service_url, {"seed": 7}, truncation=psi)
    by_z = edit(service_url, {"latent": z.tolist(), "space": "z"}, truncation=psi)
    assert by_z["frames"] == by_seed["frames"]
    assert (by_seed["receipt"]["seed"], by_z["receipt"]["seed"]) == (7, None)
    start = mapped(tiny_style, z, 0.8 if psi is None else psi)
    assert_shows(by_z["frames"][0]["image"], tiny_style, start)
    generated = post(service_url, "/v1/generate", "tiny-style", seeds=[7], truncation=psi)
    np.testing.assert_allclose(generated["latents"][0]["values"], start, atol=1e-6)


def test_w_is_repeated_over_the_layers(service_url: str, tiny_style: StoredModel) -> None:
    w = W_PLUS[0]
    in_w = edit(service_url, {"latent": w.tolist(), "space": "w"}, truncation=0.3)
    assert_shows(in_w["frames"][0]["image"], tiny_style, np.tile(w, (NUM_WS, 1)))
    for source in (
        {"latent": [w.tolist()], "space": "w"},
        {"latent": w.tolist(), "space": "w_plus"},
        {"latent": w.tolist()},
        {"latent": [w.tolist()] * NUM_WS},
    ):
        assert edit(service_url, source)["frames"] == in_w["frames"]


def test_answers_stay_in_w_plus(service_url: str) -> None:
    for source in (
        {"seed": 1},
        {"latent": Z.tolist(), "space": "z"},
        {"latent": Z.tolist(), "space": "w"},
        {"latent": W_PLUS.tolist(), "space": "w_plus"},
    ):
        answer = edit(service_url, source)
        assert answer["latent"]["space"] == "w_plus"
        assert values(answer).shape == (NUM_WS, Z_DIM)


def test_generate_takes_latents_of_every_space(service_url: str, tiny_style: StoredModel) -> None:
    for space, latent, psi, expected in (
        ("z", Z, 0.5, mapped(tiny_style, Z, 0.5)),
        ("w", Z, 0.5, np.tile(Z, (NUM_WS, 1))),
        ("w_plus", W_PLUS, 0.5, W_PLUS),
        (None, W_PLUS, None, W_PLUS),
    ):
        body = {"latents": [latent.tolist()], "space": space, "truncation": psi}
        answer = post(service_url, "/v1/generate", "tiny-style", **body)
        np.testing.assert_allclose(answer["latents"][0]["values"], expected, atol=1e-6)
        assert_shows(answer["images"][0], tiny_style, expected)


# --- layers


@pytest.mark.parametrize("layers", [(1, 3), (0, 1), (5, 6), (0, 6), None])
def test_an_edit_moves_the_layers_of_its_range_only(
    service_url: str, tiny_style: StoredModel, layers: tuple[int, int] | None
) -> None:
    answer = edit(service_url, {"latent": W_PLUS.tolist()}, {**SMILE, "layers": layers})
    planned = plan_edit(tiny_style.card, "smile", "smiling", 4, layers=layers)
    latents, probabilities = walked(tiny_style, W_PLUS, planned)
    np.testing.assert_allclose(values(answer), latents[-1], atol=1e-5)
    low, high = layers or (0, NUM_WS)
    still = [layer for layer in range(NUM_WS) if not low <= layer < high]
    np.testing.assert_array_equal(values(answer)[still], W_PLUS[still])
    moved = values(answer)[low:high] - W_PLUS[low:high]
    assert np.linalg.norm(moved[0]) > 0.5
    np.testing.assert_allclose(moved, np.tile(moved[0], (high - low, 1)), atol=1e-5)
    assert len(answer["frames"]) == len(latents) == 5
    for frame, latent, scores in zip(answer["frames"], latents, probabilities, strict=True):
        assert_shows(frame["image"], tiny_style, latent)
        smiling = frame["scores"]["smile"]["smiling"]
        assert smiling == pytest.approx(float(scores[0, 1]), abs=1e-5)


def test_several_edits_compose(service_url: str, tiny_style: StoredModel) -> None:
    age = {"attribute": "age", "target": "old", "steps": 3, "layers": [2, 6]}
    both = edit(service_url, {"latent": W_PLUS.tolist()}, {**SMILE, "layers": [1, 3]}, age)
    card = tiny_style.card
    smiling = plan_edit(card, "smile", "smiling", 4, layers=(1, 3))
    first, scores = walked(tiny_style, W_PLUS, smiling)
    old = plan_edit(card, "age", "old", 3, layers=(2, 6))
    second, further = walked(tiny_style, first[-1].numpy(), old)
    for frame, latent, one in zip(
        both["frames"],
        [*first, *second[1:]],
        [*scores, *further[1:]],
        strict=True,
    ):
        assert_shows(frame["image"], tiny_style, latent)
        assert frame["scores"]["age"]["old"] == pytest.approx(float(one[1, 1]), abs=1e-5)
    np.testing.assert_allclose(values(both), second[-1], atol=1e-5)


def test_the_layers_of_answers_chain(service_url: str) -> None:
    ranged = {**SMILE, "layers": [1, 4], "exclude": []}
    age = {"attribute": "age", "target": "old", "steps": 3, "layers": [2, 6]}
    first = edit(service_url, {"latent": W_PLUS.tolist()}, ranged)
    source = first["latent"]
    chained = {"latent": source["values"], "space": source["space"]}
    then = edit(service_url, chained, age)
    together = edit(service_url, {"latent": W_PLUS.tolist()}, ranged, age)
    assert then["latent"] == together["latent"]
    assert [frame["image"] for frame in then["frames"][1:]] == [
        frame["image"] for frame in together["frames"][5:]
    ]
    assert then["frames"][0]["image"] == first["frames"][-1]["image"]
    longer = edit(service_url, {"latent": W_PLUS.tolist()}, {**ranged, "steps": 8})
    again = edit(service_url, chained, ranged)
    np.testing.assert_allclose(values(again), values(longer), atol=1e-5)
    for one, other in zip(again["frames"], longer["frames"][4:], strict=True):
        for attribute, scores in one["scores"].items():
            assert other["scores"][attribute] == pytest.approx(scores, abs=1e-5)


def test_stop_and_reached_follow_the_scores_of_the_frames(service_url: str) -> None:
    ranged = {**SMILE, "steps": 60, "layers": [1, 3], "exclude": [], "stop": {"probability": 0.9}}
    answer = edit(service_url, {"latent": W_PLUS.tolist()}, ranged)
    smiling = [frame["scores"]["smile"]["smiling"] for frame in answer["frames"]]
    assert answer["edits"][0]["reached"] is True
    assert smiling[-1] >= 0.9 > max(smiling[:-1])
    again = edit(service_url, {"latent": answer["latent"]["values"]}, ranged)
    assert again["edits"][0]["steps_taken"] == 0


def test_score_reads_the_mean_of_all_layers_and_directions_that_of_the_edited_ones(
    service_url: str, tiny_style: StoredModel
) -> None:
    heads = tiny_style.stacked_heads()
    assert heads is not None
    latent = W_PLUS.tolist()
    (scores,) = post(service_url, "/v1/score", "tiny-style", latents=[latent])["scores"]
    expected = class_probabilities(heads, torch.tensor(W_PLUS.mean(axis=0)[None]))[0]
    assert scores["smile"]["smiling"] == pytest.approx(float(expected[0, 1]), abs=1e-5)
    body = {"latent": latent, "attribute": "smile", "target": "smiling", "layers": [1, 3]}
    found = post(service_url, "/v1/directions", "tiny-style", **body)
    answer = edit(service_url, {"latent": latent}, {**SMILE, "steps": 1, "layers": [1, 3]})
    step = 0.5 * np.array(found["direction"])
    np.testing.assert_allclose(values(answer)[2] - W_PLUS[2], step, atol=1e-5)
    assert (found["space"], found["layers"]) == ("w_plus", [1, 3])


# --- class labels


def test_a_class_maps_seeds_and_z(service_url: str, tiny_cond: StoredModel) -> None:
    z = z_from_seed(7, Z_DIM)
    start = mapped(tiny_cond, z, 0.5, [0.0, 1.0, 0.0])
    for source in (
        {"seed": 7, "class_label": 1},
        {"seed": 7, "class_label": [0, 1, 0]},
        {"latent": z.tolist(), "space": "z", "class_label": 1},
    ):
        answer = edit(service_url, source, model="tiny-cond", truncation=0.5)
        assert_shows(answer["frames"][0]["image"], tiny_cond, start)
    body = {"seeds": [7, 8], "class_label": 1, "truncation": 0.5}
    generated = post(service_url, "/v1/generate", "tiny-cond", **body)
    np.testing.assert_allclose(generated["latents"][0]["values"], start, atol=1e-6)
    assert_shows(generated["images"][0], tiny_cond, start)


def test_classes_differ_and_mix(service_url: str, tiny_cond: StoredModel) -> None:
    labels: list[Any] = [0, 2, [0.5, 0.25, 0.25]]
    answers = [
        post(service_url, "/v1/generate", "tiny-cond", seeds=[3], class_label=label)
        for label in labels
    ]
    assert len({answer["images"][0] for answer in answers}) == 3
    mixed = mapped(tiny_cond, z_from_seed(3, Z_DIM), 0.8, labels[2])
    np.testing.assert_allclose(answers[2]["latents"][0]["values"], mixed, atol=1e-6)


@pytest.mark.parametrize("label", [{}, CLASS, {"class_label": None}])
def test_latents_in_w_need_no_class(service_url: str, label: dict[str, Any]) -> None:
    for space, latent in (("w", W_PLUS[0]), ("w_plus", W_PLUS), (None, W_PLUS)):
        source = {"latent": latent.tolist(), "space": space, **label}
        assert len(edit(service_url, source, model="tiny-cond")["frames"]) == 5
        body = {"latents": [latent.tolist()], "space": space, **label}
        assert len(post(service_url, "/v1/generate", "tiny-cond", **body)["images"]) == 1


# --- refusals

SPACES = ["z", "w", "w_plus"]


@pytest.mark.parametrize(
    ("model", "source", "code", "field", "allowed", "message"),
    [
        ("tiny", {"latent": Z.tolist(), "space": "w"}, "bad_latent", "space", ["z"], "in w"),
        (
            "tiny-style",
            {"latent": [1.0] * 15, "space": "z"},
            "bad_latent",
            "latent",
            None,
            "expected 16 numbers in z, got shape [15]",
        ),
        (
            "tiny-style",
            {"latent": W_PLUS.tolist(), "space": "z"},
            "bad_latent",
            "latent",
            None,
            "expected 16 numbers in z, got shape [6, 16]",
        ),
        (
            "tiny-style",
            {"latent": W_PLUS.tolist(), "space": "w"},
            "bad_latent",
            "latent",
            None,
            "expected 16 numbers in w, got shape [6, 16]",
        ),
        (
            "tiny-style",
            {"latent": W_PLUS[:5].tolist()},
            "bad_latent",
            "latent",
            None,
            "expected 16 numbers, or 6 x 16 in w_plus, got shape [5, 16]",
        ),
        ("tiny-style", {"latent": [[1.0], []]}, "bad_latent", "latent", None, "16 numbers, or 6"),
        ("tiny-style", {"latent": []}, "bad_latent", "latent", None, "got shape [0]"),
        ("tiny-style", {"latent": [3e38] * 16}, "bad_latent", "latent", None, "within"),
        ("tiny-style", {"latent": [1.0], "space": "s"}, "bad_request", "space", SPACES, "'z', 'w'"),
        ("tiny-style", {"seed": 1, **CLASS}, "bad_request", "class_label", [], "has no classes"),
        (
            "tiny-style",
            {"latent": W_PLUS.tolist(), **CLASS},
            "bad_request",
            "class_label",
            [],
            "has no classes",
        ),
        ("tiny", {"seed": 1, **CLASS}, "bad_request", "class_label", [], "has no classes"),
        ("tiny-cond", {"seed": 1}, "bad_request", "class_label", [0, 2], "got none"),
        (
            "tiny-cond",
            {"latent": Z.tolist(), "space": "z"},
            "bad_request",
            "class_label",
            [0, 2],
            "a class 0..2 or 3 numbers, got none",
        ),
        (
            "tiny-cond",
            {"latent": W_PLUS.tolist(), "class_label": 9},
            "bad_request",
            "class_label",
            [0, 2],
            "got 9",
        ),
    ],
)
def test_sources_that_do_not_fit(
    service_url: str,
    model: str,
    source: dict[str, Any],
    code: str,
    field: str,
    allowed: Any,
    message: str,
) -> None:
    body: dict[str, Any] = {"model": model, "source": source, "edits": [SMILE]}
    refused(service_url, "/v1/edit", body, code, f"source.{field}", allowed, message)
    flat = {"model": model, **source}
    if "latent" in flat:
        flat["latents"] = [flat.pop("latent")]
    else:
        flat["seeds"] = [flat.pop("seed")]
    field = field.replace("latent", "latents[0]")
    refused(service_url, "/v1/generate", flat, code, field, allowed, message)


def test_a_class_label_beside_an_image_has_to_be_one(service_url: str) -> None:
    for model, label, allowed in (("tiny-style", 1, []), ("tiny-cond", 9, [0, 2])):
        source = {"image": "", "class_label": label}
        body = {"model": model, "edits": [SMILE], "source": source}
        field = "source.class_label"
        refused(service_url, "/v1/edit", body, "bad_request", field, allowed, "class_label")


@pytest.mark.parametrize("label", [3, -1, 1.5, True, "1", {}, [], [1, 0], [1, 0, "x"], [1, 0, 1e9]])
def test_class_labels_that_do_not_fit(service_url: str, label: Any) -> None:
    body = {"model": "tiny-cond", "edits": [SMILE], "source": {"seed": 1, "class_label": label}}
    field, message = "source.class_label", "a class 0..2 or 3 numbers, got"
    refused(service_url, "/v1/edit", body, "bad_request", field, [0, 2], message)


@pytest.mark.parametrize("layers", [[0, 7], [3, 3], [4, 2], [-1, 2], [6, 7]])
def test_layers_that_the_model_has_not(service_url: str, layers: list[int]) -> None:
    body: dict[str, Any] = {"model": "tiny-style", "source": {"seed": 1}}
    body["edits"] = [SMILE, {**SMILE, "layers": layers}]
    field, message = "edits[1].layers", "0 <= from < to <= 6"
    refused(service_url, "/v1/edit", body, "bad_request", field, [0, 6], message)


def refused(
    url: str, path: str, body: dict[str, Any], code: str, field: str, allowed: Any, message: str
) -> None:
    answer = httpx.post(f"{url}{path}", json=body, timeout=30)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (400, code, field)
    assert error.get("allowed") == allowed
    assert message in error["message"]
