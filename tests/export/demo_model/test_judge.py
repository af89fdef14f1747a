"""The judge as shipped: reads drawings, equals its torch twin, refuses what it cannot read."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.demo_model.attributes import NAMES
from export.demo_model.judge import JUDGE_FILE, Judge, JudgeError, Judgement
from export.demo_model.judge_network import JudgeNetwork, folded
from export.demo_model.judge_onnx import JudgeMismatchError, check_against_torch, to_onnx

MAX_BYTES = 1_000_000


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture
def noise() -> np.ndarray:  # [5, 64, 64, 3], uint8
    return np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)


def trained_alike() -> JudgeNetwork:
    """Random weights, and normalisations that do something."""
    torch.manual_seed(0)
    network = JudgeNetwork()
    network(torch.rand(16, 3, 64, 64) * 255)
    return network.eval()


def test_shipped_weights_are_small() -> None:
    assert JUDGE_FILE.stat().st_size < MAX_BYTES


def test_it_reads_drawings(judge: Judge) -> None:
    pytest.importorskip("python_avatars", reason="extra demo-model")
    from export.demo_model.dataset import sample_image, sample_labels

    seed = 99  # of no split
    images = np.stack([sample_image(seed, index) for index in range(64)])
    wanted = [sample_labels(seed, index) for index in range(64)]
    found = judge.read(images).labels()
    for name in NAMES:
        assert found[name].tolist() == [one[name] for one in wanted], name


def test_folding_changes_no_number(noise: np.ndarray) -> None:
    network = trained_alike()
    images = torch.from_numpy(noise).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        plain, fast = network(images), folded(network)(images)
    torch.testing.assert_close(fast[0], plain[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fast[1], plain[1], atol=1e-4, rtol=1e-4)


def test_onnx_of_another_network_is_noticed() -> None:
    network = folded(trained_alike())
    model = to_onnx(network)
    with torch.no_grad():
        network.heads.bias.add_(0.1)
    with pytest.raises(JudgeMismatchError, match="logits"):
        check_against_torch(model, network)


def test_batches_are_joined(judge: Judge) -> None:
    many = np.random.default_rng(1).integers(0, 256, (70, 64, 64, 3), dtype=np.uint8)
    notes: list[tuple[int, int]] = []
    found = judge.read(many, lambda done, total: notes.append((done, total)))
    np.testing.assert_allclose(found.features[66:], judge.read(many[66:]).features, atol=1e-4)
    assert notes == [(64, 70), (70, 70)]


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 32, 32, 3), np.uint8),
        np.zeros((2, 64, 64, 3), np.float32),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((0, 64, 64, 3), np.uint8),
    ],
)
def test_other_images_are_refused(judge: Judge, images: np.ndarray) -> None:
    with pytest.raises(JudgeError, match="expected uint8"):
        judge.read(images)


def test_a_missing_judge_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match=r"export\.demo_model\.judge_training"):
        Judge(tmp_path / "judge.onnx")


def test_confidence_is_the_probability_of_the_label() -> None:
    judgement = Judgement({"smile": np.log([[0.2, 0.8], [0.5, 0.5]])}, np.zeros((2, 1)))
    np.testing.assert_allclose(judgement.confidence()["smile"], [0.8, 0.5])
    assert judgement.labels()["smile"].tolist() == [1, 0]
