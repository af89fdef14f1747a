"""model_store/readers/rosinality.py: generators alone, in training files and behind encoders."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model_store import CheckpointError, read_checkpoint
from model_store.readers.stylegan2_names import AVERAGED_SAMPLES
from tests.model_store.readers.parity import (
    FIXTURES,
    TOLERANCE,
    generator_entries,
    reference_arrays,
    relative_error,
)

(ENTRY,) = [e for e in generator_entries() if e["file"] == "rosinality.pt"]
ARRAYS = reference_arrays(FIXTURES, ENTRY)
OPTIONS = Namespace(start_from_latent_avg=True, output_size=32, encoder_type="Encoder4Editing")


def fixture() -> dict[str, Any]:
    """g_ema and latent_avg of the fixture."""
    found: dict[str, Any] = torch.load(FIXTURES / "rosinality.pt", weights_only=True)
    return found


def encoder_file(average: Tensor | None) -> dict[str, Any]:
    """e4e, pSp and ReStyle: an encoder and the generator as its decoder."""
    state = {f"encoder.body.{i}.weight": torch.randn(4, 3, 3, 3) for i in range(3)}
    state["encoder.input_layer.1.num_batches_tracked"] = torch.tensor(7)
    state |= {f"decoder.{name}": tensor for name, tensor in fixture()["g_ema"].items()}
    found: dict[str, Any] = {"state_dict": state, "opts": OPTIONS}
    return found if average is None else {**found, "latent_avg": average}


def training_file() -> dict[str, Any]:
    """What rosinality's train.py saves, apart from latent_avg, which it does not."""
    state = fixture()["g_ema"]
    optimiser = {
        "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4)}},
        "param_groups": [{"lr": 0.002, "betas": (0.0, 0.99), "params": [0]}],
    }
    return {
        "g": {name: tensor + 1 for name, tensor in state.items()},
        "d": {"convs.0.0.weight": torch.randn(4, 3, 1, 1)},
        "g_ema": state,
        "g_optim": optimiser,
        "d_optim": optimiser,
        "args": Namespace(path="/data", iter=800_000, size=32, channel_multiplier=2),
        "ada_aug_p": 0.0,
    }


def check(path: Path, images: str = "img_psi1_const") -> str:
    """The notes of the card of a file that gives the reference images."""
    generator = read_checkpoint(path)
    latents = generator.mapping(ARRAYS["z"])
    assert relative_error(latents, ARRAYS["w_psi1"]) <= TOLERANCE
    assert relative_error(generator.synthesis(latents), ARRAYS[images]) <= TOLERANCE
    return generator.card.provenance.notes


@pytest.mark.parametrize("new_container", [True, False])
@pytest.mark.parametrize("kind", ["encoder", "encoder per layer", "training", "convert"])
def test_every_kind_of_file_gives_the_reference(
    kind: str, new_container: bool, tmp_path: Path
) -> None:
    average = fixture()["latent_avg"]
    content = {
        "encoder": lambda: encoder_file(average),
        "encoder per layer": lambda: encoder_file(average.expand(8, -1).clone()),
        "training": lambda: {**training_file(), "latent_avg": average},
        "convert": fixture,
    }[kind]()
    path = tmp_path / "model.pt"
    torch.save(content, path, _use_new_zipfile_serialization=new_container)
    format = "encoder" if "encoder" in kind else "rosinality"
    assert check(path).startswith(f"{format} checkpoint")
    truncated = read_checkpoint(path).mapping(ARRAYS["z"], psi=0.7)
    assert relative_error(truncated, ARRAYS["w_psi07"]) <= TOLERANCE


@pytest.mark.parametrize("kind", ["encoder", "training"])
def test_a_missing_average_is_measured_and_noted(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(encoder_file(None) if kind == "encoder" else training_file(), path)
    assert f"no latent_avg in the file: the mean of {AVERAGED_SAMPLES} seeded" in check(path)
    first, again = (read_checkpoint(path).state()["mapping.w_avg"] for _ in range(2))
    assert torch.equal(first, again)
    stored = fixture()["latent_avg"]
    z = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(9))
    w = read_checkpoint(path).mapping(z)[:, 0]
    noise = w.std(dim=0) * (1 / AVERAGED_SAMPLES + 1 / 20_000) ** 0.5
    assert ((first - w.mean(dim=0)).abs() < 6 * noise).all()
    assert stored.shape == first.shape


def test_one_noise_and_bias_shape_of_either_version_is_read(tmp_path: Path) -> None:
    content = fixture()
    state = content["g_ema"]
    for name, tensor in state.items():
        if name.endswith("noise.weight"):
            state[name] = tensor.reshape(())
    torch.save(content, tmp_path / "model.pt")
    check(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"missing tensor 'synthesis\.b8\.conv1\.bias'"),
        ("unknown", r"unknown tensor 'convs\.0\.surprise'"),
        ("far layer", r"a layer of index 9999999999"),
        ("other kernel", r"differs from the other resampling filters"),
        ("averages", r"latent_avg: expected one mean for all layers"),
        ("no tensors", r"g_ema: expected a state dict, found NoneType"),
        ("list", r"g_ema: 'style\.1\.weight' is not a named tensor"),
        ("nan", r"convs\.0\.conv\.weight holds NaN"),
    ],
)
def test_what_does_not_fit_is_named(change: str, message: str, tmp_path: Path) -> None:
    content = fixture()
    state = content["g_ema"]
    if change == "missing":
        del state["convs.1.activate.bias"]
    elif change == "unknown":
        state["convs.0.surprise"] = torch.zeros(1)
    elif change == "far layer":
        state["convs.9999999999.conv.weight"] = torch.zeros(1, 2, 2, 3, 3)
    elif change == "other kernel":
        name = "to_rgbs.0.upsample.kernel"
        state[name] = state[name] * 2
    elif change == "averages":
        content["latent_avg"] = torch.randn(8, 64)
    elif change == "no tensors":
        content["g_ema"] = None
    elif change == "list":
        state["style.1.weight"] = [1.0, 2.0]
    elif change == "nan":
        state["convs.0.conv.weight"][0, 0, 0, 0, 0] = torch.nan
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "model.pt")
