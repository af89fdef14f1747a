"""model_store/readers/genforce.py: the TensorFlow fixture, renamed as genforce converts it."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model_store import CheckpointError, read_checkpoint
from model_store.readers.restricted_pickle import load_pickle
from model_store.readers.tensorflow import TABLE, network_of
from tests.model_store.readers.parity import (
    FIXTURES,
    TOLERANCE,
    generator_entries,
    reference_arrays,
    relative_error,
)

(ENTRY,) = [e for e in generator_entries() if e["file"] == "sg2tf_f.pkl"]
ARRAYS = reference_arrays(FIXTURES, ENTRY)
_LAYER = re.compile(r"^synthesis/(\d+)x\d+/(Conv|Conv0_up|Conv1|ToRGB)/(\w+)$")
_LEAVES = {
    "mod_weight": "style.weight",
    "mod_bias": "style.bias",
    "noise_strength": "noise_strength",
    "bias": "bias",
    "weight": "weight",
}


def genforce_state() -> dict[str, Tensor]:
    """The fixture's variables under genforce's names: transposed, not flipped, no +1."""
    content = memoryview((FIXTURES / "sg2tf_f.pkl").read_bytes())
    network = network_of(load_pickle(content, TABLE)[0])
    variables = {name: raw.tensor().float() for name, raw in network.variables.items()}
    state = {"truncation.w_avg": variables["dlatent_avg"]}
    state["synthesis.early_layer.const"] = variables["synthesis/4x4/Const/const"]
    for name, value in variables.items():
        if match := re.match(r"^mapping/Dense(\d+)/(\w+)$", name):
            tensor = value.T if match[2] == "weight" else value
            state[f"mapping.dense{match[1]}.{match[2]}"] = tensor
        elif match := re.match(r"^synthesis/noise(\d+)$", name):
            state[f"synthesis.layer{match[1]}.noise"] = value
        elif match := _LAYER.match(name):
            octave = int(match[1]).bit_length() - 3
            index = 2 * octave - (match[2] == "Conv0_up")
            layer = f"output{octave}" if match[2] == "ToRGB" else f"layer{index}"
            transposed = {"weight": (3, 2, 0, 1), "mod_weight": (1, 0)}.get(match[3])
            tensor = value.permute(transposed) if transposed else value
            state[f"synthesis.{layer}.{_LEAVES[match[3]]}"] = tensor
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps)[None, None] / 64 * 4
    for index in (1, 3, 5):
        state[f"synthesis.layer{index}.filter.kernel"] = kernel
    state["synthesis.upsample.kernel"] = kernel
    return {name: tensor.contiguous().clone() for name, tensor in state.items()}


def check(content: Any, path: Path, new_container: bool = True) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=new_container)
    generator = read_checkpoint(path)
    assert generator.card.provenance.notes == "genforce checkpoint"
    latents = generator.mapping(ARRAYS["z"], psi=0.7)
    assert relative_error(latents, ARRAYS["w_psi07"]) <= TOLERANCE
    for mode in ("const", "none"):
        images = generator.synthesis(latents, mode)
        assert relative_error(images, ARRAYS[f"img_psi07_{mode}"]) <= TOLERANCE
        images = generator.synthesis(ARRAYS["wplus_edit"], mode)
        assert relative_error(images, ARRAYS[f"img_wplus_edit_{mode}"]) <= TOLERANCE


def test_every_container_gives_the_reference(tmp_path: Path) -> None:
    state = genforce_state()
    other = {name: tensor + 1 for name, tensor in state.items()}
    check({"generator_smooth": state}, tmp_path / "a.pth")
    models = {"generator": other, "discriminator": other, "generator_smooth": state}
    check(models, tmp_path / "b.pth")
    check({"models": models, "running_stats": None}, tmp_path / "c.pth", new_container=False)


def test_shapes_of_newer_versions_are_read(tmp_path: Path) -> None:
    state = genforce_state()
    for name, tensor in state.items():
        if name.endswith("noise_strength"):
            state[name] = tensor.reshape(1)
    check({"generator_smooth": state}, tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        ("synthesis.layer3.bias", None, r"missing tensor 'synthesis\.b16\.conv0\.bias'"),
        ("truncation.w_avg", None, r"missing tensor 'mapping\.w_avg'"),
        (None, "synthesis.layer3.extra", r"unknown tensor 'synthesis\.layer3\.extra'"),
        (None, "surprise", r"unknown tensor 'surprise'"),
        (None, "synthesis.layer40.weight", r"expected blocks of 4, 8, 16"),
    ],
)
def test_what_does_not_fit_is_named(
    removed: str | None, added: str | None, message: str, tmp_path: Path
) -> None:
    state = genforce_state()
    if removed:
        del state[removed]
    if added:
        state[added] = torch.zeros(1, 1, 3, 3)
    torch.save({"generator_smooth": state}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "a.pth")
