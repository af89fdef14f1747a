import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from export.labelers.face_api import (
    SCORES,
    FaceApiLabeler,
    check_against_torch,
    export_onnx,
    prepare_faces,
)
from export.labelers.face_api_networks import AgeGenderNetwork, ExpressionNetwork, FaceNetwork
from export.labelers.weight_manifest import WeightManifestError, read_weight_manifest
from export.onnx_tracing import OnnxMismatchError

SIDE = 112
TOLERANCE = 1e-3
REFERENCE_SCRIPT = Path(__file__).with_name("face_api_reference.mjs")
MANIFESTS: dict[str, type[FaceNetwork]] = {
    "age_gender_model": AgeGenderNetwork,
    "face_expression_model": ExpressionNetwork,
}
CELEBA_CROP = (12 / 64, 12 / 64, 52 / 64, 60 / 64)

Outputs = dict[str, np.ndarray]


def drawn_face(rng: np.random.Generator) -> np.ndarray:  # [112, 112, 3], float, 0..255
    """An oval with eyes and a mouth, blurred and in random colours."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    skin, hair, dark, red = rng.uniform((120, 10, 0, 90), (255, 140, 60, 220), (3, 4)).T
    image = np.broadcast_to(hair, (SIDE, SIDE, 3)) * (0.6 + 0.4 * y[..., None])
    for colour, left, top, width, height in (
        (skin, 0.5, 0.52, 0.28, 0.38),
        (dark, 0.38, 0.42, 0.05, 0.03),
        (dark, 0.62, 0.42, 0.05, 0.03),
        (red, 0.5, 0.74, rng.uniform(0.06, 0.16), 0.04),
    ):
        inside = ((x - left) / width) ** 2 + ((y - top) / height) ** 2
        weight = 1 / (1 + np.exp(8 * np.clip(inside - 1, -5, 5)))[..., None]
        image = weight * colour + (1 - weight) * image
    return image


def varied_images() -> np.ndarray:  # [16, 112, 112, 3], uint8
    """Noise, blobs, drawn faces and noisy drawn faces."""
    rng = np.random.default_rng(7)
    noise = list(rng.uniform(0, 255, (4, SIDE, SIDE, 3)))
    coarse = rng.integers(0, 256, (4, 5, 5, 3), dtype=np.uint8)
    blobs = [
        np.asarray(Image.fromarray(c).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        for c in coarse
    ]
    faces = [drawn_face(rng) for _ in range(4)]
    mixed = [0.7 * face + 0.3 * other for face, other in zip(faces, noise, strict=True)]
    return np.stack([*noise, *blobs, *faces, *mixed]).round().astype(np.uint8)


def write_package(folder: Path) -> Path:
    """A package of the same networks with other weights: noise, not quantised."""
    rng = np.random.default_rng(3)
    (folder / "model").mkdir(parents=True)
    for name, network in MANIFESTS.items():
        entries, binary = [], b""
        for parameter_name, parameter in network().named_parameters():
            shape = list(parameter.shape)
            if len(shape) == 4:
                outer = (0, 1) if parameter_name.endswith("depthwise_filter") else (1, 0)
                shape = [*shape[2:], *(shape[axis] for axis in outer)]
            published = parameter_name.replace(".", "/")
            entries.append({"name": published, "shape": shape, "dtype": "float32"})
            binary += rng.normal(0, 0.15, parameter.numel()).astype("<f4").tobytes()
        manifest = [{"weights": entries, "paths": [f"{name}.bin"]}]
        (folder / f"model/{name}-weights_manifest.json").write_text(json.dumps(manifest))
        (folder / f"model/{name}.bin").write_bytes(binary)
    return folder


def load_networks(package: Path) -> list[FaceNetwork]:
    return [
        network.from_tensors(read_weight_manifest(package / f"model/{name}-weights_manifest.json"))
        for name, network in MANIFESTS.items()
    ]


@pytest.fixture(scope="module")
def noise_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("noise") / "package")


@pytest.fixture(scope="module")
def noise_files(noise_package: Path) -> tuple[Path, ...]:
    return export_onnx(noise_package, noise_package.parent / "exported")


@pytest.fixture(scope="module")
def labeler(noise_files: tuple[Path, ...]) -> FaceApiLabeler:
    age_gender, expression = noise_files
    return FaceApiLabeler(age_gender, expression)


@pytest.fixture(scope="module")
def real_files(
    face_api_package: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ...]:
    return export_onnx(face_api_package, tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def reference(
    face_api_package: Path, node: str, tmp_path_factory: pytest.TempPathFactory
) -> Outputs:
    """What the package's own JavaScript computes for the varied images."""
    raw = tmp_path_factory.mktemp("images") / "images.raw"
    raw.write_bytes(varied_images().tobytes())
    command = [node, str(REFERENCE_SCRIPT), str(face_api_package), str(raw)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: np.array(values) for name, values in json.loads(done.stdout).items()}


def run_torch(package: Path, files: tuple[Path, ...]) -> Outputs:
    del files
    faces = torch.from_numpy(varied_images()).permute(0, 3, 1, 2).float()
    age_gender, expression = load_networks(package)
    with torch.inference_mode():
        age_years, gender_logits = age_gender(faces)
        outputs = (age_years, gender_logits, expression(faces))
    names = ("age_years", "gender_logits", "expression_logits")
    return {name: values.numpy() for name, values in zip(names, outputs, strict=True)}


def run_onnx(package: Path, files: tuple[Path, ...]) -> Outputs:
    del package
    faces = np.ascontiguousarray(varied_images().transpose(0, 3, 1, 2), dtype=np.float32)
    outputs: Outputs = {}
    for path in files:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        outputs |= dict(zip(names, session.run(names, {"faces": faces}), strict=True))
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize("run", [run_torch, run_onnx])
def test_computes_what_the_packages_javascript_computes(
    face_api_package: Path,
    real_files: tuple[Path, ...],
    reference: Outputs,
    run: Callable[[Path, tuple[Path, ...]], Outputs],
) -> None:
    outputs = run(face_api_package, real_files)
    assert outputs.keys() == reference.keys()
    for name, expected in reference.items():
        assert outputs[name].shape == expected.shape == (16, *expected.shape[1:])
        assert np.ptp(expected, axis=0).min() > 100 * TOLERANCE, "images too alike to tell"
        assert np.abs(outputs[name] - expected).max() <= TOLERANCE, name


@pytest.mark.slow
def test_scores_are_the_log_odds_of_javascripts_probabilities(
    real_files: tuple[Path, ...], reference: Outputs
) -> None:
    age_gender, expression = real_files
    scores = FaceApiLabeler(age_gender, expression).scores(varied_images(), crop=None)
    happy = np.exp(reference["expression_logits"])
    happy = happy[:, 1] / happy.sum(axis=1)
    male = np.exp(reference["gender_logits"])
    male = male[:, 0] / male.sum(axis=1)
    np.testing.assert_allclose(scores["smiling"], np.log(happy / (1 - happy)), atol=2e-3)
    np.testing.assert_allclose(scores["male"], np.log(male / (1 - male)), atol=2e-3)
    np.testing.assert_allclose(scores["age_years"], reference["age_years"], atol=TOLERANCE)


def test_writes_one_self_contained_file_per_network(noise_files: tuple[Path, ...]) -> None:
    assert [path.name for path in noise_files] == ["age_gender.onnx", "expression.onnx"]
    assert sorted(noise_files[0].parent.iterdir()) == sorted(noise_files)
    for path in noise_files:
        (faces,) = onnxruntime.InferenceSession(path).get_inputs()
        assert faces.name == "faces"
        assert faces.shape == ["batch", 3, SIDE, SIDE]
        onnx.checker.check_model(path, full_check=True)


def test_files_hold_no_path_of_the_machine(noise_files: tuple[Path, ...]) -> None:
    for path in noise_files:
        content = path.read_bytes()
        assert b"face_api_networks" not in content
        assert str(REFERENCE_SCRIPT.parents[3]).encode() not in content


def test_refuses_a_file_that_differs_from_the_network(
    noise_package: Path, noise_files: tuple[Path, ...]
) -> None:
    for network, path in zip(load_networks(noise_package), noise_files, strict=True):
        model = onnx.load(path)
        check_against_torch(model, network)
        bias = next(values for name, values in network.named_parameters() if "fc" in name)
        bias.add_(0.01)
        with pytest.raises(OnnxMismatchError, match=rf"{type(network).__name__}: .* differs"):
            check_against_torch(model, network)


def test_leaves_no_file_of_a_package_that_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(WeightManifestError, match="age_gender_model-weights_manifest"):
        export_onnx(tmp_path, tmp_path / "exported")
    assert not list((tmp_path / "exported").iterdir())


def test_scores_are_the_same_in_batches_and_one_by_one(labeler: FaceApiLabeler) -> None:
    images = np.random.default_rng(5).integers(0, 256, (35, 64, 64, 3), dtype=np.uint8)
    together = labeler.scores(images, CELEBA_CROP)
    assert tuple(together) == SCORES
    for name, values in together.items():
        alone = [labeler.scores(image[None], CELEBA_CROP)[name][0] for image in images]
        assert values.dtype == np.float32
        assert values.shape == (35,)
        np.testing.assert_allclose(values, alone, atol=1e-4, rtol=1e-4)


def test_only_the_crop_is_looked_at(labeler: FaceApiLabeler) -> None:
    images = np.random.default_rng(6).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    framed = np.zeros_like(images)
    framed[:, 12:60, 12:52] = images[:, 12:60, 12:52]
    found = labeler.scores(framed, CELEBA_CROP)
    expected = labeler.scores(images[:, 12:60, 12:52], crop=None)
    for name in SCORES:
        np.testing.assert_array_equal(found[name], expected[name])
    assert not np.allclose(found["male"], labeler.scores(framed, crop=None)["male"])


def test_resizes_without_flipping_or_swapping_axes() -> None:
    images = np.zeros((1, 40, 20, 3), np.uint8)
    images[0, :20, :, 0] = 200  # red above
    images[0, :, 10:, 2] = 100  # blue on the right
    faces = prepare_faces(images, crop=None)
    assert faces.shape == (1, 3, SIDE, SIDE)
    assert faces.dtype == np.float32
    assert faces[0, :, 10, 10].tolist() == [200, 0, 0]
    assert faces[0, :, 100, 10].tolist() == [0, 0, 0]
    assert faces[0, :, 10, 100].tolist() == [200, 0, 100]


def test_no_images_give_no_scores(labeler: FaceApiLabeler) -> None:
    scores = labeler.scores(np.zeros((0, 64, 64, 3), np.uint8), CELEBA_CROP)
    assert {name: values.shape for name, values in scores.items()} == dict.fromkeys(SCORES, (0,))


def test_reads_a_read_only_memory_map(labeler: FaceApiLabeler, tmp_path: Path) -> None:
    images = np.random.default_rng(8).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    found, expected = labeler.scores(mapped), labeler.scores(images)
    assert all(np.array_equal(found[name], expected[name]) for name in SCORES)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 64, 64, 3), np.float32),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((1, 3, 64, 64), np.uint8),
    ],
    ids=["float", "one image", "channels first"],
)
def test_refuses_other_images(labeler: FaceApiLabeler, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="images: expected uint8"):
        labeler.scores(images, crop=None)


@pytest.mark.parametrize(
    "crop",
    [
        (0.5, 0.0, 0.5, 1.0),
        (0.0, 0.9, 1.0, 0.1),
        (-0.1, 0.0, 1.0, 1.0),
        (0.0, 0.0, 1.0, 64.0),
        (0.0, float("nan"), 1.0, 1.0),
        (0.0, 0.0, 0.001, 1.0),
    ],
)
def test_refuses_other_crops(crop: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="crop"):
        prepare_faces(np.zeros((1, 64, 64, 3), np.uint8), crop)
