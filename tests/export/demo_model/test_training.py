"""A run that was stopped and continued equals one that was not, bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from export.demo_model.adversarial import Players
from export.demo_model.avatar_networks import as_generator
from export.demo_model.checkpoints import CheckpointStateError
from export.demo_model.training import draw_images, fresh_players, train
from tests.export.demo_model.tiny_runs import BATCH, tiny_images, tiny_options

STEPS = 6


def everything(players: Players) -> dict[str, torch.Tensor]:
    """All that the next step depends on."""
    found = {f"generator.{name}": t for name, t in players.generator.items()}
    found |= {f"average.{name}": t for name, t in players.average.items()}
    found |= {f"discriminator.{n}": t for n, t in players.discriminator.state_dict().items()}
    for side, adam in (("g", players.generator_adam), ("d", players.discriminator_adam)):
        for index, state in adam.state_dict()["state"].items():
            found |= {f"adam.{side}.{index}.{key}": value for key, value in state.items()}
    return {name: t.detach() for name, t in found.items()}


def quiet(line: str) -> None:
    """No log."""


@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, stop_after: int) -> None:
    whole = train(tiny_images(), tmp_path / "whole", tiny_options(STEPS), quiet)
    questions = iter([False] * stop_after + [True])
    train(tiny_images(), tmp_path / "parts", tiny_options(STEPS), quiet, lambda: next(questions))
    resumed = train(tiny_images(), tmp_path / "parts", tiny_options(STEPS), quiet)
    expected, found = everything(whole), everything(resumed)
    assert expected.keys() == found.keys()
    assert len([name for name in expected if name.startswith("adam.")]) > 20
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    first = train(tiny_images(), tmp_path / "a", tiny_options(2, seed=0), quiet)
    second = train(tiny_images(), tmp_path / "b", tiny_options(2, seed=1), quiet)
    name = "mapping.fc0.weight"
    assert not torch.equal(first.generator[name], second.generator[name])


def test_a_run_of_another_seed_is_not_continued(tmp_path: Path) -> None:
    train(tiny_images(), tmp_path, tiny_options(1, seed=0), quiet)
    with pytest.raises(CheckpointStateError, match="seed 0, not 1"):
        train(tiny_images(), tmp_path, tiny_options(2, seed=1), quiet)


def test_weights_alone_can_be_gone_on_from(tmp_path: Path) -> None:
    first = train(tiny_images(), tmp_path / "old", tiny_options(3), quiet)
    name = "synthesis.b16.conv1.weight"
    start = replace(tiny_options(3), start_from=tmp_path / "old", start_images=3 * BATCH)
    same = train(tiny_images(), tmp_path / "new", start, quiet)  # its images are shown already
    torch.testing.assert_close(same.generator[name].detach(), first.average[name])
    longer = replace(tiny_options(5), start_from=tmp_path / "old", start_images=3 * BATCH)
    after = train(tiny_images(), tmp_path / "longer", longer, quiet)
    assert not torch.equal(after.generator[name], same.generator[name])
    missing = replace(longer, start_from=tmp_path / "nowhere")
    with pytest.raises(CheckpointStateError, match="no weights"):
        train(tiny_images(), tmp_path / "other", missing, quiet)


def test_a_broken_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training.pt").write_bytes(b"not a state")
    with pytest.raises(CheckpointStateError, match="not a state of this run"):
        train(tiny_images(), tmp_path, tiny_options(1), quiet)


def test_it_leaves_weights_sheets_and_a_log(tmp_path: Path) -> None:
    lines: list[str] = []
    players = train(tiny_images(), tmp_path, tiny_options(STEPS), lines.append)
    assert [line for line in lines if line.startswith("kimg")]
    assert len(list(tmp_path.glob("sheet-*.png"))) == 1
    tensors = load_file(tmp_path / "generator.safetensors")
    name = "synthesis.b16.conv1.weight"
    torch.testing.assert_close(tensors[name], players.average[name])
    assert tensors["mapping.w_avg"].abs().max() > 0
    assert as_generator(tensors).card.resolution == 16
    stored = load_file(tmp_path / "discriminator.safetensors")
    assert stored.keys() == players.discriminator.state_dict().keys()
    assert not list(tmp_path.glob("*.part"))


def test_the_rate_decays_at_the_end(tmp_path: Path) -> None:
    options = tiny_options(STEPS)
    decayed = type(options)(**{**vars(options), "decay_images": STEPS * BATCH})
    players = train(tiny_images(), tmp_path, decayed, quiet)
    last = players.generator_adam.param_groups[0]["lr"]
    assert last == pytest.approx(options.learning_rate / STEPS)


def test_images_are_scaled_and_some_mirrored() -> None:
    images = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    images[:, :, :2] = 255  # left half white
    drawn = draw_images(images, 64, np.random.default_rng(0))
    assert drawn.shape == (64, 3, 4, 4)
    left = drawn[:, 0, 0, 0]
    assert set(left.tolist()) == {-1.0, 1.0}
    assert 16 < int((left > 0).sum()) < 48
    assert images[0, 0, 0, 0] == 255  # untouched


def test_players_depend_on_the_seed_alone() -> None:
    first, second = (everything(fresh_players(tiny_options(1))) for _ in range(2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
