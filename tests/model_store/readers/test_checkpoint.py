"""model_store/readers/checkpoint.py: every fixture equals its reference, whatever its name."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from model_store import (
    DCGAN_FORMAT,
    FORMATS,
    CheckpointError,
    find_model,
    read_checkpoint,
    save_model,
)
from model_store.readers import nvidia_modules
from model_store.readers.restricted_pickle import load_pickle
from tests.doubles import Z_DIM, sequential_dcgan, tutorial_state
from tests.model_store.readers.parity import (
    FIXTURES,
    TOLERANCE,
    compare_fixture,
    generator_entries,
    reference_arrays,
    relative_error,
    table,
)

ENTRIES = generator_entries()
FAMILY_AND_FORMAT = {
    "rosinality": ("stylegan2", "rosinality"),
    "StyleGAN1 TensorFlow": ("stylegan1", "stylegan1-tensorflow"),
    "StyleGAN2 TensorFlow": ("stylegan2", "stylegan2-tensorflow"),
    "stylegan2-ada-pytorch": ("stylegan2", "stylegan2-pytorch"),
    "stylegan3": ("stylegan3", "stylegan3-pytorch"),
}
each_fixture = pytest.mark.parametrize("entry", ENTRIES, ids=[entry["file"] for entry in ENTRIES])
Entry = dict[str, Any]


def expected_kind(entry: Entry) -> tuple[str, str]:
    """Family and format that the manifest's description names."""
    (found,) = [v for k, v in FAMILY_AND_FORMAT.items() if entry["format"].startswith(k)]
    return found


@each_fixture
def test_every_reference_is_met(entry: Entry) -> None:
    rows = compare_fixture(FIXTURES, entry)
    print(f"\n{table(rows)}")
    assert len(rows) >= 5
    assert max(row.error for row in rows) <= TOLERANCE


@each_fixture
def test_the_card_says_what_the_file_is(entry: Entry) -> None:
    card = read_checkpoint(FIXTURES / entry["file"], "mine", licence="CC0").card
    family, format = expected_kind(entry)
    config = entry["config"]
    options = config.get("static_kwargs", {})
    assert (card.name, card.family, card.spaces) == ("mine", family, ("w_plus",))
    assert card.num_ws == config["num_ws"]
    assert card.resolution in (
        config.get("img_resolution"),
        config.get("size"),
        options.get("resolution"),
    )
    latents = reference_arrays(FIXTURES, entry)
    assert (card.z_dim, card.w_dim) == (latents["z"].shape[1], latents["w_psi1"].shape[2])
    assert card.c_dim == (latents["c"].shape[1] if "c" in latents else 0)
    assert (card.provenance.source, card.provenance.licence) == (entry["file"], "CC0")
    assert card.provenance.source_sha256 == entry["sha256"]
    assert card.provenance.notes.startswith(f"{format} checkpoint")


@each_fixture
def test_content_and_not_the_name_decides(entry: Entry, tmp_path: Path) -> None:
    family, format = expected_kind(entry)
    for name in ("model.pt", "model.pkl", "model.jpeg", "model"):
        renamed = Path(shutil.copy(FIXTURES / entry["file"], tmp_path / name))
        assert read_checkpoint(renamed).card.family == family
    assert read_checkpoint(renamed, format=format).card.family == family
    for wrong in {*FORMATS, DCGAN_FORMAT} - {format}:
        with pytest.raises(CheckpointError, match=r"not a checkpoint|expected|not a named tensor"):
            read_checkpoint(renamed, format=wrong)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="'biggan' is not one of stylegan2-pytorch, "):
        read_checkpoint(tmp_path / "any", format="biggan")


def test_the_official_truncation_of_stylegan1_is_on_its_card() -> None:
    cards = {e["file"]: read_checkpoint(FIXTURES / e["file"]).card for e in ENTRIES}
    truncations = {f: (c.truncation, c.truncation_cutoff) for f, c in cards.items()}
    for entry in ENTRIES:
        expected = (0.7, 8) if expected_kind(entry)[0] == "stylegan1" else (1.0, None)
        assert truncations[entry["file"]] == expected


@each_fixture
def test_a_stored_model_gives_the_same_images(entry: Entry, bentoml_home: Path) -> None:
    generator = read_checkpoint(FIXTURES / entry["file"], f"stored-{entry['sha256'][:8]}")
    save_model(generator, generator.card, {})
    stored = find_model(generator.card.name)
    again = stored.generator()
    arrays = reference_arrays(FIXTURES, entry)
    for one in (again, generator):
        latents = one.mapping(arrays["z"], arrays.get("c"), 0.7)
        assert relative_error(latents, arrays["w_psi07"]) <= TOLERANCE
    torch.testing.assert_close(
        again.synthesis(latents), generator.synthesis(latents), atol=0, rtol=0
    )
    assert stored.card.model_dump_json(exclude={"files"}) == generator.card.model_dump_json(
        exclude={"files"}
    )


@pytest.mark.parametrize(
    "file", [e["file"] for e in ENTRIES if expected_kind(e)[1].endswith("-pytorch")]
)
def test_the_average_network_was_taken(file: str) -> None:
    path = FIXTURES / file
    value, _ = load_pickle(memoryview(path.read_bytes()), nvidia_modules.TABLE)
    state = read_checkpoint(path).state()
    name = "mapping.fc0.weight"
    trained, average = (
        nvidia_modules.flatten(value[key]).tensors[name].tensor() for key in ("G", "G_ema")
    )
    assert not torch.equal(trained, average)
    assert torch.equal(state[name], average)


def test_a_dcgan_comes_through_the_same_door(tmp_path: Path) -> None:
    network = sequential_dcgan()
    path = tmp_path / "netG.pth"
    torch.save({"state_dict": tutorial_state(network)}, path)
    z = torch.randn(2, Z_DIM)
    for format in (None, DCGAN_FORMAT):
        generator = read_checkpoint(path, "mine", format, "MIT")
        images = generator.synthesis(generator.mapping(z))
        torch.testing.assert_close(images, network(z[:, :, None, None]), atol=1e-5, rtol=1e-4)
    assert (generator.card.name, generator.card.provenance.licence) == ("mine", "MIT")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert generator.card.provenance.source_sha256 == digest


def test_missing_and_special_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.pkl", tmp_path):
        with pytest.raises(CheckpointError, match=path.name):
            read_checkpoint(path)
