"""`gradctrl evaluate` from a labelled bank to a report, on tiny models."""

import csv
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from export.banks import open_bank
from export.errors import ExportError, LabelError
from export.evaluation import EvaluationOptions, Judges, evaluate
from export.evaluation.cells import read_cell, walked_lengths
from export.labels import read_labels
from model_store import EditDefaults, StoredModel, save_model, stored_methods
from tests.doubles import ATTRIBUTES, make_card, make_generator, make_heads
from tests.export.evaluation.planted import NAME, labelled_bank, pixel_labels

pytestmark = pytest.mark.slow  # heads are retrained for the ablation

JUDGES = Judges(first=(NAME,), second=(NAME,), labelers={NAME: pixel_labels})
OPTIONS = EvaluationOptions(
    methods=("gradctrl", "gradctrl-released", "stylespace"),
    protocols=("near", "far", "default"),
    samples=12,
    pool=128,
    steps=5,
    top_k_shares=(0.0, 0.25),
    label_counts=(4,),
)


def _cells(folder: Path) -> list[Path]:
    return list((folder / "cells").iterdir())


@pytest.fixture(scope="module")
def bank(tiny_style: StoredModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled bank of the tiny StyleGAN2."""
    return labelled_bank(tiny_style, tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def output(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished evaluation."""
    folder = tmp_path_factory.mktemp("evaluation")
    assert evaluate("tiny-style", bank, folder, OPTIONS, JUDGES) == folder / "report.md"
    return folder


def test_the_report_has_every_part(output: Path) -> None:
    text = (output / "report.md").read_text()
    for title in ("## near", "## far", "## default", "### Accuracy of gradctrl minus each other"):
        assert title in text
    assert "## Ablation: channels protected for each other attribute, of 16" in text
    assert "## Ablation: labels per class" in text
    assert "stylespace: gradctrl-tiny-style" in text  # left out: no such directions
    assert "| top-k=4 |" in text
    assert "nan" not in text.lower().replace("not finite", "")
    for line in text.splitlines():
        if "](" in line:
            for part in line.split("](")[1:]:
                assert (output / part.split(")")[0]).is_file()


def test_pictures_can_be_opened(output: Path) -> None:
    names = {path.name for path in output.glob("*.png")}
    assert {"dependency_far.png", "slopes_near.png", "top_k.png", "labels.png"} <= names
    assert {"sheet_near_smile.png", "sheet_default_hair.png"} <= names
    with Image.open(output / "sheet_near_smile.png") as sheet:
        assert sheet.size == (3 * 128, 16 + 8 * (128 + 4))  # before and two methods, eight starts


def test_every_edit_is_a_row_and_starts_are_shared(output: Path) -> None:
    with (output / "edits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    near = [row for row in rows if row["protocol"] == "near" and row["attribute"] == "smile"]
    seeds = {
        method: [row["seed"] for row in near if row["method"] == method]
        for method in OPTIONS.methods[:2]
    }
    assert len(seeds["gradctrl"]) == 12
    assert seeds["gradctrl"] == seeds["gradctrl-released"]
    assert all(row["from"] != row["to"] for row in rows)
    assert {row["not_finite"] for row in rows} == {"0"}
    arrived = [row for row in rows if row["success"] == "1" and row["protocol"] == "near"]
    assert arrived
    assert {row["confirmed"] for row in arrived} == {"1"}  # the second judge is the first one


def test_a_second_run_takes_what_is_there(output: Path, bank: Path) -> None:
    before = (output / "report.md").read_text()
    cells = {path: path.stat().st_mtime_ns for path in (output / "cells").iterdir()}
    lost = next(path for path in cells if ".labels=4." in path.name)
    del cells[lost]
    lost.unlink()
    evaluate("tiny-style", bank, output, OPTIONS, JUDGES)
    after = {path: path.stat().st_mtime_ns for path in (output / "cells").iterdir()}
    assert after.pop(lost)
    assert after == cells
    assert (output / "report.md").read_text() == before  # seeded: the same numbers again


def test_other_settings_are_measured_anew(output: Path, bank: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, methods=("gradctrl",), protocols=("near",), attributes=("smile",))
    options = options.without_ablations()
    evaluate("tiny-style", bank, tmp_path, options, JUDGES)
    evaluate("tiny-style", bank, tmp_path, replace(options, seed=1), JUDGES)
    assert len(list((tmp_path / "cells").iterdir())) == 2


def test_the_step_size_is_that_of_walks_until_an_image_flips(bank: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, methods=("gradctrl",), attributes=("smile",), step_size=0.01)
    evaluate("tiny-style", bank, tmp_path, options.without_ablations(), JUDGES)
    walked = {path.name.partition(".")[0]: read_cell(path).walked for path in _cells(tmp_path)}
    assert float(torch.cat([walked["near"], walked["far"]]).max()) <= 5 * 0.01 + 1e-5
    assert float(walked["default"].min()) > 5 * 0.01
    assert "at most 5 steps of 0.01" in (tmp_path / "report.md").read_text()


def test_each_procedure_ends_by_its_protocol(
    tiny_style: StoredModel, bank: Path, tmp_path: Path
) -> None:
    names = ("gradctrl-released", "gradctrl-paper")
    options = replace(OPTIONS, methods=names, attributes=("smile",), steps=30)
    evaluate("tiny-style", bank, tmp_path, options.without_ablations(), JUDGES)
    cells = {tuple(path.name.split(".")[:2]): read_cell(path) for path in _cells(tmp_path)}
    own = cells["default", "gradctrl-released"]
    latents = open_bank(next((tmp_path / "pools").iterdir())).latents[own.samples.numpy()]
    with torch.inference_mode():
        released = stored_methods(tiny_style, names)["gradctrl-released"]
        nine = released.path(torch.from_numpy(latents), 0, own.target, 9)
    torch.testing.assert_close(own.walked, walked_lengths(nine)[:, -1])
    paper = cells["far", "gradctrl-paper"]  # goes on where its head has flipped, not the image
    assert bool((paper.arrived | (paper.frame == 30)).all())
    assert bool(paper.arrived.any())


@pytest.mark.parametrize("name", ["tiny", "tiny-cond"])
def test_models_of_z_and_of_classes_are_judged_too(
    name: str, tiny: StoredModel, tiny_cond: StoredModel, tmp_path: Path
) -> None:
    model = {"tiny": tiny, "tiny-cond": tiny_cond}[name]
    labelled = labelled_bank(model, tmp_path / "bank")
    options = replace(OPTIONS, methods=("gradctrl", "gradctrl-paper"), attributes=("smile",))
    evaluate(name, labelled, tmp_path, options.without_ablations(), JUDGES)
    cells = [read_cell(path) for path in _cells(tmp_path)]
    assert len(cells) == 2 * len(OPTIONS.protocols)
    assert all(bool(cell.finite.all()) for cell in cells)


def test_a_model_of_one_attribute_has_no_other_to_keep(bentoml_home: Path, tmp_path: Path) -> None:
    smile = ATTRIBUTES[0].with_side_effects(()).with_defaults(EditDefaults())
    model = save_model(make_generator(), make_card("one-smile", (smile,)), make_heads((smile,)))
    labelled = labelled_bank(model, tmp_path / "bank")
    options = replace(OPTIONS, methods=("gradctrl",), protocols=("far",))
    evaluate("one-smile", labelled, tmp_path, options.without_ablations(), JUDGES)
    text = (tmp_path / "report.md").read_text()
    assert "nan" not in text.lower().replace("not finite", "")


def test_quick_ends_in_two_minutes(bank: Path, tmp_path: Path) -> None:
    options = EvaluationOptions().quick()
    begun = time.monotonic()
    evaluate("tiny-style", bank, tmp_path, options, JUDGES)
    assert time.monotonic() - begun < 120
    assert "interfacegan" in (tmp_path / "report.md").read_text()


def test_bad_input_is_refused(bank: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no method 'magic'; there are: gradctrl"):
        EvaluationOptions(methods=("magic",))
    with pytest.raises(ExportError, match="no protocol 'nearly'; there are: near"):
        EvaluationOptions(protocols=("nearly",))
    with pytest.raises(LabelError, match="tiny-style: give the labelers that judge"):
        evaluate("tiny-style", bank, tmp_path, OPTIONS, Judges())
    assert not list(tmp_path.iterdir())  # nothing was rendered for it
    with pytest.raises(ExportError, match="\\['hat'\\] are not judged"):
        evaluate("tiny-style", bank, tmp_path, replace(OPTIONS, attributes=("hat",)), JUDGES)
    assert "smile" in read_labels(bank)
