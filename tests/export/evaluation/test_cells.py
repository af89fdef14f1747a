"""export/evaluation/cells.py: step by step against all frames at once; files; hopeless paths."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from editing import Path as EditPath
from editing import spread
from export.banks import Bank, BankInfo
from export.evaluation.cells import Bench, Cell, cell_file, read_cell, run_cell, save_cell
from export.evaluation.pool import Pool
from export.evaluation.protocols import PROTOCOLS, Starts
from export.rendering import Renderer
from export.sampling import sample_latents
from model_store import style_vectors
from tests.doubles import make_style_card, make_style_generator
from tests.export.evaluation.planted import planted_judge

SAMPLES, STEPS = 40, 6
NEAR, DEFAULT = PROTOCOLS["near"], PROTOCOLS["default"]


@pytest.fixture(scope="module")
def bench() -> Bench:
    """A tiny StyleGAN2, 40 samples, judged by their pixels."""
    generator = make_style_generator(make_style_card())
    renderer, judge = Renderer(generator), planted_judge()
    latents = sample_latents(generator, range(SAMPLES), 0.8)
    images = renderer.images(latents, None)
    margins = judge.margins(images)
    info = BankInfo("tiny-style", "0" * 64, SAMPLES, 0, 0.8, SAMPLES)
    pool = Pool(Bank(info, latents.numpy(), images), margins, spread(margins))
    return Bench(renderer, judge, pool)


@pytest.fixture(scope="module")
def starts(bench: Bench) -> Starts:
    """All samples, to the other class of the first attribute."""
    return Starts(torch.arange(SAMPLES), 1 - bench.pool.labels[:, 0])


def random_path(bench: Bench) -> EditPath:
    """A straight line in a random direction per sample."""
    generator = torch.Generator().manual_seed(1)
    latents = bench.pool.latents(torch.arange(SAMPLES))
    direction = torch.randn(latents.shape, generator=generator) * 0.6
    way = torch.arange(STEPS + 1.0)[None, :, None, None]
    path = latents[:, None] + way * direction[:, None]
    return EditPath(path, None, torch.zeros(SAMPLES, dtype=torch.bool))


def test_every_edit_ends_at_the_first_frame_that_arrives(bench: Bench, starts: Starts) -> None:
    path = random_path(bench)
    cell = run_cell(bench, NEAR, 0, starts, path)
    frames = bench.renderer.images(path.latents.flatten(0, 1), None)
    margins = bench.judge.margins(frames).reshape(SAMPLES, STEPS + 1, 3, 3)
    labels = margins[:, :, 0].argmax(dim=2)  # [N, T]
    hits = labels == starts.target[:, None]
    assert 5 < int(hits.any(dim=1).sum()) < SAMPLES  # some arrive, some do not
    assert torch.equal(cell.arrived, hits.any(dim=1))
    expected = torch.where(hits.any(dim=1), hits.int().argmax(dim=1), STEPS)
    assert torch.equal(cell.frame, expected)
    for n, end in enumerate(expected.tolist()):
        torch.testing.assert_close(
            cell.margins[n, : end + 1], margins[n, : end + 1], atol=0.3, rtol=0
        )
        assert bool(cell.margins[n, end + 1 :].isnan().all())
    step = (path.latents[:, 1] - path.latents[:, 0]).norm(dim=2).amax(dim=1)
    torch.testing.assert_close(cell.walked, step * expected, rtol=1e-3, atol=1e-4)


def test_default_looks_at_the_last_frame_alone(bench: Bench, starts: Starts) -> None:
    path = random_path(bench)
    cell = run_cell(bench, DEFAULT, 0, starts, path)
    last = bench.judge.margins(bench.renderer.images(path.latents[:, -1], None))
    assert cell.margins.shape[1] == 2
    assert torch.equal(cell.arrived, last[:, 0].argmax(dim=1) == starts.target)
    step = (path.latents[:, 1] - path.latents[:, 0]).norm(dim=2).amax(dim=1)
    torch.testing.assert_close(cell.walked, step * STEPS, rtol=1e-3, atol=1e-4)


def test_offsets_in_style_space_are_rendered(bench: Bench, starts: Starts) -> None:
    generator = make_style_generator(make_style_card())
    latents = bench.pool.latents(torch.arange(SAMPLES))
    flat = style_vectors(generator, latents)
    offsets = torch.zeros(SAMPLES, 2, flat.shape[1])
    moved = EditPath(
        latents[:, None].expand(-1, 2, -1, -1), offsets.clone(), torch.zeros(SAMPLES).bool()
    )
    assert int(run_cell(bench, NEAR, 0, starts, moved).frame.sum()) == 0  # zero offsets: no move
    offsets[:, 1, :16] = 3.0
    moved = replace(moved, styles=offsets)
    cell = run_cell(bench, NEAR, 0, starts, moved)
    assert cell.frame.tolist() == [1] * SAMPLES
    assert not torch.allclose(cell.margins[:, 1, 0, :2], cell.margins[:, 0, 0, :2])
    assert bool(cell.walked.isnan().all())


def test_a_path_with_nan_is_counted_and_never_rendered(bench: Bench, starts: Starts) -> None:
    path = random_path(bench)
    path.latents[3, 2:] = torch.nan
    cell = run_cell(bench, NEAR, 0, starts, path)
    assert cell.finite.tolist() == [n != 3 for n in range(SAMPLES)]
    assert (int(cell.frame[3]), bool(cell.arrived[3])) == (0, False)
    assert bool(torch.isfinite(cell.last[:, 0, :2]).all())


def test_a_second_judge_and_an_embedding_look_at_the_ends(bench: Bench, starts: Starts) -> None:
    def embed(images: np.ndarray) -> torch.Tensor:
        flat = torch.from_numpy(images.astype(np.float32)).flatten(1)
        return torch.nn.functional.normalize(flat, dim=1)

    seen = replace(bench, second=bench.judge, embed=embed)
    path = random_path(bench)
    cell = run_cell(seen, NEAR, 0, starts, path)
    torch.testing.assert_close(cell.second[:, :, :2], cell.last[:, :, :2])
    still = replace(path, latents=path.latents[:, :1].expand(-1, 3, -1, -1))
    unmoved = run_cell(seen, NEAR, 0, starts, still)
    torch.testing.assert_close(unmoved.identity, torch.ones(SAMPLES))
    assert float(cell.identity.min()) < 0.999


def test_a_cell_survives_its_file(bench: Bench, starts: Starts, tmp_path: Path) -> None:
    cell = run_cell(bench, NEAR, 0, starts, random_path(bench))
    file = cell_file(tmp_path / "cells", ("near", "random", "smile"), {"seed": 0})
    save_cell(cell, file)
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    again = read_cell(file)
    for one in fields(Cell):
        left, right = getattr(cell, one.name), getattr(again, one.name)
        torch.testing.assert_close(left, right, equal_nan=True)


def test_other_settings_are_another_file(tmp_path: Path) -> None:
    labels = ("near", "gradctrl", "smile")
    files = {cell_file(tmp_path, labels, {"seed": seed, "a": 1}) for seed in range(3)}
    assert len(files) == 3
    assert cell_file(tmp_path, labels, {"a": 1, "seed": 2}) in files
