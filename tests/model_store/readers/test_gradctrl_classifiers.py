"""model_store/readers/gradctrl_classifiers.py: names, heads and defaults of the released files."""

import pickle
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from editing import class_logits, stack_heads
from model_store import CheckpointError, read_gradctrl_classifiers
from tests.model_store.readers.parity import FIXTURES, manifest

RELEASED = FIXTURES / "gradctrl_released"
CONFIGS: dict[str, Any] = {e["format"].split()[1]: e for e in manifest()["classifiers"]}


def written(
    folder: Path,
    attributes: str,
    logits: tuple[int, ...],
    channels: int = 24,
    hidden: int = 6,
    new_container: bool = False,
    **parameters: Any,
) -> tuple[Path, list[nn.Sequential]]:
    """A folder as the released training script writes it, and torch's own layers."""
    folder.mkdir()
    torch.manual_seed(0)
    networks = [
        nn.Sequential(nn.Linear(channels, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, count))
        for count in logits
    ]
    state = OrderedDict(
        (f"classifiers.{i}.classifier.{name}", tensor)
        for i, network in enumerate(networks)
        for name, tensor in network.state_dict().items()
    )
    torch.save(state, folder / "model.pth", _use_new_zipfile_serialization=new_container)
    content = {"attributes": attributes, "n_shared_layers": 0, "hidden_size": hidden, **parameters}
    with (folder / "model_params.pkl").open("wb") as file:
        pickle.dump(content, file)
    return folder, networks


def check_heads(heads: dict[str, Any], networks: list[nn.Sequential], channels: int) -> None:
    """Logits are those of Linear, LeakyReLU(0.1), Linear."""
    latents = torch.randn(5, channels)
    found = class_logits(stack_heads(list(heads.values())), latents)
    for a, network in enumerate(networks):
        expected = network(latents)
        ours = found[:, a, 1:2] if expected.shape[1] == 1 else found[:, a, : expected.shape[1]]
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
        if expected.shape[1] == 1:
            assert not found[:, a, 0].any()


def test_the_released_ffhq_classifiers() -> None:
    attributes, heads = read_gradctrl_classifiers(RELEASED / "model_ffhq")
    config = CONFIGS["ffhq"]
    names = config["config"]["attributes"].split(",")
    assert [a.name for a in attributes] == list(heads) == names
    assert {a.name: a.classes for a in attributes} == {
        "gender": ("female", "male"),
        "smile": ("not_smiling", "smiling"),
        "eyeglasses": ("no_eyeglasses", "eyeglasses"),
        "age": ("old", "young"),
        "pose": ("not_pose", "pose"),
    }
    for index, attribute in enumerate(attributes):
        defaults = attribute.defaults
        assert defaults.steps == 9
        assert defaults.steps * defaults.step_size == pytest.approx(4.0)
        masks, counts, layers = config["exclude_dict"].get(str(index), ([], [], None))
        assert defaults.as_pairs() == [(names[m], k) for m, k in zip(masks, counts, strict=True)]
        assert defaults.layers == (layers and tuple(layers))
    assert {head.hidden_weight.shape for head in heads.values()} == {(16, 512)}
    assert {head.num_classes for head in heads.values()} == {2}


def test_the_released_cat_classifier() -> None:
    (color,), heads = read_gradctrl_classifiers(RELEASED / "model_cat")
    assert (color.name, color.classes) == ("color", tuple(f"color_{k}" for k in range(8)))
    assert heads["color"].num_classes == 8
    assert list(color.defaults.layers or ()) == CONFIGS["cat"]["layers_changed_by_main"]["color"]
    assert (color.defaults.steps, color.defaults.exclude) == (9, ())


@pytest.mark.parametrize("name", ["model_ffhq", "model_cat"])
def test_released_heads_are_torch_s_own_layers(name: str) -> None:
    _, heads = read_gradctrl_classifiers(RELEASED / name)
    state: dict[str, Tensor] = torch.load(
        RELEASED / name / "model.pth", weights_only=True, map_location="cpu"
    )
    networks = []
    for i, head in enumerate(heads.values()):
        logits, hidden = head.class_weight.shape
        network = nn.Sequential(
            nn.Linear(512, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, logits)
        )
        prefix = f"classifiers.{i}.classifier."
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        network.load_state_dict(own)
        networks.append(network)
    check_heads(heads, networks, 512)


def test_the_car_attributes_have_their_layers(tmp_path: Path) -> None:
    config = CONFIGS["car"]["config"]
    folder, networks = written(tmp_path / "car", config["attributes"], (1, 1, 1, 1))
    attributes, heads = read_gradctrl_classifiers(folder)
    assert {a.name: list(a.defaults.layers or ()) for a in attributes} == CONFIGS["car"][
        "layers_changed_by_main"
    ]
    check_heads(heads, networks, 24)


@pytest.mark.parametrize("new_container", [True, False])
def test_other_attributes_edit_all_layers_unmasked(new_container: bool, tmp_path: Path) -> None:
    folder, networks = written(
        tmp_path / "own", "hat,beard", (3, 1), new_container=new_container, extra="kept out"
    )
    attributes, heads = read_gradctrl_classifiers(folder, {"beard": ["shaved", "bearded"]})
    assert [a.classes for a in attributes] == [("hat_0", "hat_1", "hat_2"), ("shaved", "bearded")]
    assert {(a.defaults.layers, a.defaults.exclude) for a in attributes} == {(None, ())}
    check_heads(heads, networks, 24)


def test_a_few_ffhq_attributes_have_no_masks_of_absent_ones(tmp_path: Path) -> None:
    folder, _ = written(tmp_path / "own", "gender,smile", (1, 1))
    attributes, _ = read_gradctrl_classifiers(folder)
    assert [a.classes for a in attributes] == [("female", "male"), ("not_smiling", "smiling")]
    assert [a.defaults.exclude for a in attributes] == [(), ()]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_shared_layers": 1}, r"model_params\.pkl: shared layers are not supported"),
        ({"n_shared_layers": None}, r"model_params\.pkl: shared layers are not supported"),
        ({"attributes": ["hat"]}, r"model_params\.pkl: expected a dict with the names"),
        ({"attributes": "hat,hat"}, r"attribute names must differ"),
        ({"attributes": "Hat,beard"}, r"'Hat' is not a name"),
        ({"attributes": "hat,"}, r"'' is not a name"),
        ({"attributes": "hat\n,beard"}, r"is not a name"),
        ({"attributes": "hat"}, r"unknown tensor 'classifiers\.1\."),
        ({"attributes": "hat,beard,scarf"}, r"missing tensor 'classifiers\.2\."),
    ],
)
def test_parameters_that_do_not_fit_are_named(
    parameters: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder, _ = written(tmp_path / "own", "hat,beard", (1, 1))
    content = {"attributes": "hat,beard", "n_shared_layers": 0, **parameters}
    (folder / "model_params.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match=message):
        read_gradctrl_classifiers(folder)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({"scarf": ["a", "b"]}, "classes: no attribute 'scarf'; there are hat, beard"),
        ({"hat": ["a", "b", "c"]}, "classes: hat has 2 classes, 3 were named"),
        ({"hat": ["a", "a"]}, "classes: hat: expected different names of a-z.*, got 'a, a'"),
        ({"hat": ["No Hat", "Hat"]}, "classes: hat: expected different names .* 'No Hat, Hat'"),
    ],
)
def test_classes_that_do_not_fit_are_named(
    classes: dict[str, list[str]], message: str, tmp_path: Path
) -> None:
    folder, _ = written(tmp_path / "own", "hat,beard", (1, 1))
    with pytest.raises(CheckpointError, match=message):
        read_gradctrl_classifiers(folder, classes)


def test_missing_and_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model_params\.pkl: No such file"):
        read_gradctrl_classifiers(tmp_path)
    folder, _ = written(tmp_path / "own", "hat", (1,))
    shutil.copy(FIXTURES / "rosinality.pt", folder / "model.pth")
    with pytest.raises(CheckpointError, match=r"model\.pth: .*'g_ema' is not a named tensor"):
        read_gradctrl_classifiers(folder)
    torch.save({"classifiers.0.classifier.0.weight": torch.zeros(3)}, folder / "model.pth")
    with pytest.raises(CheckpointError, match="missing tensor"):
        read_gradctrl_classifiers(folder)
    shutil.copy(FIXTURES / "hostile" / "evil_reduce.pkl", folder / "model_params.pkl")
    with pytest.raises(CheckpointError, match=r"model_params\.pkl: .*asks for os\.system"):
        read_gradctrl_classifiers(folder)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder, _ = written(tmp_path / "own", "hat", (1,))
    state = torch.load(folder / "model.pth", weights_only=True)
    state["classifiers.0.classifier.2.bias"][0] = torch.nan
    torch.save(state, folder / "model.pth")
    with pytest.raises(CheckpointError, match=r"classifier\.2\.bias holds NaN"):
        read_gradctrl_classifiers(folder)
