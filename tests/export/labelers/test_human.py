"""export/labelers/human.py: small graphs of the same names; the real ones against JavaScript."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export.labelers.face_api import prepare_faces
from export.labelers.graph_model import read_graph_model
from export.labelers.human import NETWORKS, SCORES, HumanLabeler, copy_networks
from tests.export.labelers.test_face_api import varied_images
from tests.export.labelers.test_graph_model import node, normal, write

TOLERANCE = 1e-4  # of logits and embeddings
REFERENCE_SCRIPT = Path(__file__).with_name("graph_model_reference.mjs")
CROP = (12 / 64, 12 / 64, 52 / 64, 60 / 64)
EMOTION = "StatefulPartitionedCall/model_1/global_average_pooling2d_1/Mean"
REAL: dict[str, tuple[int, int, list[str]]] = {  # side, images, outputs
    "faceres": (224, 2, ["gender_pred/BiasAdd", "age_pred/BiasAdd"]),
    "emotion": (64, 16, [EMOTION]),
    "mobileface": (112, 16, ["batchnorm0/add_1"]),
}


def write_networks(package: Path) -> Path:
    """A package whose networks are linear in the mean colour."""
    axes = np.array([1, 2], np.int32)
    mean = node("mean", "Mean", "images", "axes")
    heads: dict[str, list[tuple[str, np.ndarray]]] = {
        "faceres": [("gender_pred/BiasAdd", normal(3, 1)), ("age_pred/BiasAdd", normal(3, 100))],
        "emotion": [(EMOTION, normal(1, 7))],
        "mobileface": [("batchnorm0/add_1", normal(3, 256))],
    }
    for name, outputs in heads.items():
        folder = package / "models"
        folder.mkdir(parents=True, exist_ok=True)
        nodes = [node(out, "MatMul", "mean", f"w{i}") for i, (out, _) in enumerate(outputs)]
        weights = {f"w{i}": values / 20 for i, (_, values) in enumerate(outputs)}
        file = write(folder, [mean, *nodes], axes=axes, **weights)
        content: dict[str, Any] = json.loads(file.read_text())
        content["weightsManifest"][0]["paths"] = [f"{name}.bin"]
        (folder / f"{name}.json").write_text(json.dumps(content))
        (folder / "model.bin").rename(folder / f"{name}.bin")
    return package


@pytest.fixture(scope="module")
def labeler(tmp_path_factory: pytest.TempPathFactory) -> HumanLabeler:
    folder = tmp_path_factory.mktemp("human")
    copy_networks(write_networks(folder / "package"), folder / "stored")
    assert len(list((folder / "stored").iterdir())) == 2 * len(NETWORKS)
    return HumanLabeler(folder / "stored")


def plain_images(*colours: tuple[int, int, int]) -> np.ndarray:
    return np.stack([np.full((20, 20, 3), colour, np.uint8) for colour in colours])


def test_scores_are_log_odds_and_the_mean_age(labeler: HumanLabeler) -> None:
    images = plain_images((10, 60, 200), (250, 90, 30))
    found = labeler.scores(images)
    colour = images[:, 0, 0].astype(np.float64)
    np.testing.assert_allclose(found["male"], (colour @ normal(3, 1) / 20)[:, 0], rtol=1e-4)
    ages = np.exp(colour @ normal(3, 100) / 20)
    expected = (ages / ages.sum(axis=1, keepdims=True)) @ np.arange(100)
    np.testing.assert_allclose(found["age_years"], expected, rtol=1e-4)
    grey = colour @ [0.2989, 0.587, 0.114] / 127.5 - 1
    emotions = np.exp(grey[:, None] * normal(1, 7) / 20)
    happy = emotions[:, 3] / emotions.sum(axis=1)
    np.testing.assert_allclose(found["smiling"], np.log(happy / (1 - happy)), rtol=1e-4)


def test_embeddings_are_unit_vectors(labeler: HumanLabeler) -> None:
    images = plain_images((10, 60, 100), (20, 120, 200), (250, 90, 30))
    found = labeler.embed(images)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    assert found[0] @ found[1] > 0.99 > found[0] @ found[2]
    assert labeler.embed(images[:0]).shape == (0, 256)


def test_batches_and_crops_do_not_matter_but_for_what_is_seen(labeler: HumanLabeler) -> None:
    images = np.random.default_rng(5).integers(0, 256, (19, 64, 64, 3), dtype=np.uint8)
    framed = np.zeros_like(images)
    framed[:, 12:60, 12:52] = images[:, 12:60, 12:52]
    together = labeler.scores(images, CROP)
    assert tuple(together) == SCORES
    for name, values in together.items():
        assert values.dtype == np.float32
        assert values.shape == (19,)
        alone = [labeler.scores(image[None], CROP)[name][0] for image in framed[[0, 18]]]
        np.testing.assert_allclose(values[[0, 18]], alone, atol=1e-4, rtol=1e-4)


def test_other_images_are_refused(labeler: HumanLabeler) -> None:
    with pytest.raises(ValueError, match="images: expected uint8"):
        labeler.scores(np.zeros((1, 3, 64, 64), np.uint8))
    with pytest.raises(ValueError, match="images: expected uint8"):
        labeler.embed(np.zeros((1, 64, 64, 3), np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_tensorflow_js_computes(
    human_package: Path, tfjs_bundle: Path, node: str, tmp_path: Path, name: str
) -> None:
    side, count, outputs = REAL[name]
    file = human_package / "models" / f"{name}.json"
    faces = torch.from_numpy(prepare_faces(varied_images()[-count:], None, side))
    if name == "emotion":
        faces = faces.mean(dim=1, keepdim=True) / 127.5 - 1
    raw = faces.permute(0, 2, 3, 1).contiguous().numpy()
    (tmp_path / "images.raw").write_bytes(raw.astype("<f4").tobytes())
    shape = ",".join(str(size) for size in raw.shape)
    images = str(tmp_path / "images.raw")
    command = [node, str(REFERENCE_SCRIPT), str(tfjs_bundle), str(file), images, shape]
    done = subprocess.run(
        [*command, ",".join(outputs)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    reference = {key: np.array(values) for key, values in json.loads(done.stdout).items()}
    with torch.inference_mode():
        found = read_graph_model(file).run(faces, outputs)
    for output, values in zip(outputs, found, strict=True):
        expected = reference[output]
        assert values.shape == expected.shape
        assert np.ptp(expected, axis=0).max() > 100 * TOLERANCE, "images too alike to tell"
        assert np.abs(values.numpy() - expected).max() <= TOLERANCE
