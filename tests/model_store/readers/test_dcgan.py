"""model_store/readers/dcgan.py: both namings, folded batch norms, and what is refused."""

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from model_store import CheckpointError, read_dcgan
from tests.doubles import Z_DIM, sequential_dcgan, tutorial_state

State = dict[str, torch.Tensor]


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def named_state(state: State) -> State:
    """main.{0,1,3,4,6} as convTr1, batchNorm1, ..."""
    names = {0: "convTr1", 1: "batchNorm1", 3: "convTr2", 4: "batchNorm2", 6: "convTr3"}
    renamed = {}
    for key, tensor in state.items():
        _, number, leaf = key.split(".")
        renamed[f"{names[int(number)]}.{leaf}"] = tensor
    return renamed


@pytest.mark.parametrize("layout", ["tutorial", "wrapped", "named"])
def test_every_naming_gives_the_images_of_torch_s_own_layers(layout: str, tmp_path: Path) -> None:
    network = sequential_dcgan()
    state: object = OrderedDict(tutorial_state(network))
    if layout == "wrapped":
        state = {"netG_state_dict": state}
    if layout == "named":
        state = named_state(tutorial_state(network))
    generator = read_dcgan(save(tmp_path / "dcgan.pt", state), "mine")
    z = torch.randn(5, Z_DIM)
    with torch.no_grad():
        expected = network(z[:, :, None, None])
    images = generator.synthesis(generator.mapping(z))
    torch.testing.assert_close(images, expected, atol=1e-5, rtol=1e-4)
    assert generator.card.resolution == 16
    assert generator.card.z_dim == Z_DIM


def broken(change: str) -> object:
    state = tutorial_state(sequential_dcgan())
    if change == "missing":
        del state["main.1.running_var"]
    elif change == "unknown":
        state["surprise.weight"] = torch.zeros(1)
    elif change == "nan":
        state["main.0.weight"][0, 0, 0, 0] = torch.nan
    elif change == "unchained":
        state["main.3.weight"] = torch.zeros(7, 6, 4, 4)
    elif change == "kernel":
        state["main.6.weight"] = torch.zeros(6, 3, 3, 3)
    elif change == "no_norm":
        state = {key: value for key, value in state.items() if not key.startswith("main.4.")}
    elif change == "list":
        return [1, 2, 3]
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", "lacks.*running_var"),
        ("unknown", "unknown tensor 'surprise.weight'"),
        ("nan", "main.0.weight holds NaN"),
        ("unchained", "chain to 3 channels"),
        ("kernel", "chain to 3 channels"),
        ("no_norm", "found 3 convolutions and 1 batch norms"),
        ("list", "expected a state dict"),
    ],
)
def test_wrong_checkpoints_are_named(change: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_dcgan(save(tmp_path / "dcgan.pt", broken(change)))


class Evil:
    """Runs code when a careless reader unpickles it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.marker,))


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "evil.pt"
    torch.save({"main.0.weight": Evil(marker)}, path)
    with pytest.raises(CheckpointError, match=r"asks for .*, which is not allowed"):
        read_dcgan(path)
    path.write_bytes(pickle.dumps(Evil(marker)))
    with pytest.raises(CheckpointError, match=r"asks for .*, which is not allowed"):
        read_dcgan(path)
    assert not marker.exists()


def test_truncated_and_empty_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "dcgan.pt", tutorial_state(sequential_dcgan()))
    content = path.read_bytes()
    for size in (0, 10, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            read_dcgan(path)
