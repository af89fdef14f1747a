"""service/walkers.py: what computes walks is what the settings say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from editing import CapturedWalk, CompiledWalk, NoGraphsError, walk
from model_store import Starts, StoredModel, load_repertoire, plan_edit
from service.settings import Settings
from service.specs import WalkSpec
from service.walkers import Walker
from service.walking import LoadedHeads, walk_all
from tests.doubles import TapeRecorder

CPU = torch.device("cpu")
GRAPHS = 4


def loaded(model: StoredModel) -> LoadedHeads:
    repertoire = load_repertoire(model, CPU)
    return LoadedHeads(repertoire.heads, model.mapper(), (2, 2, 3), repertoire)


def specs(model: StoredModel, seed: int) -> list[WalkSpec]:
    latents = np.random.default_rng(seed).normal(size=(1, *model.card.latent_shape))
    start = Starts(latents=latents.astype(np.float32))
    edits = (
        plan_edit(model.card, "smile", "smiling"),
        plan_edit(model.card, "hair", "blond", 3, stop=0.9),
    )
    return [WalkSpec(model.tag, start, edits)]


def test_torch_walks_plainly() -> None:
    assert Walker.of(Settings(), CPU, 1).walk() is walk
    assert Walker.of(Settings(backend="onnx"), CPU, 1).walk() is walk


def test_cuda_graphs_are_refused_without_cuda() -> None:
    config = Settings(cuda_graphs=GRAPHS)
    with pytest.raises(NoGraphsError, match="CUDA device, got cpu"):
        Walker.of(config, CPU, 1).walk()
    assert isinstance(Walker.of(config, torch.device("cuda"), 1).walk(), CapturedWalk)


def test_graphs_go_before_compiling() -> None:
    config = Settings(cuda_graphs=GRAPHS, backend="torch-compile")
    assert isinstance(Walker.of(config, torch.device("cuda"), 1).walk(), CapturedWalk)
    assert isinstance(Walker.of(Settings(backend="torch-compile"), CPU, 1).walk(), CompiledWalk)


@pytest.mark.parametrize("name", ["tiny", "tiny_style"])
def test_captured_walks_answer_as_plain_ones(name: str, request: pytest.FixtureRequest) -> None:
    model: StoredModel = request.getfixturevalue(name)
    recorder = TapeRecorder()
    plain = loaded(model)
    by_tape = replace(plain, walk=CapturedWalk(recorder, GRAPHS))
    for seed in (1, 2):
        assert_alike(walk_all(by_tape, specs(model, seed)), walk_all(plain, specs(model, seed)))
    assert recorder.recorded == 2  # one for each edit
    assert recorder.replayed == 4


@pytest.mark.slow
def test_a_compiled_walk_is_translated_before_the_first_request(tiny_style: StoredModel) -> None:
    walker = Walker.of(Settings(backend="torch-compile"), CPU, 1)
    plain = loaded(tiny_style)
    compiled = replace(plain, walk=walker.walk())
    walker.warm_up(compiled, tiny_style)
    torch._dynamo.utils.counters.clear()
    with torch.inference_mode():
        found = walk_all(compiled, specs(tiny_style, 1))
        assert_alike(found, walk_all(plain, specs(tiny_style, 1)))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 0


def assert_alike(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one["latents"], other["latents"], atol=1e-5)
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=1e-5)
        assert [edit["steps_taken"] for edit in one["edits"]] == [
            edit["steps_taken"] for edit in other["edits"]
        ]
