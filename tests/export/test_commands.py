"""The `gradctrl` command: all of it in this process, and a few runs as a user has them."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from export import training
from export.commands import main, sampling
from export.importing import import_checkpoint, import_classifiers
from export.labels import read_labels
from export.sampling import sample_latents
from model_store import (
    AttributeCard,
    StoredModel,
    class_labels,
    find_model,
    save_attributes,
    save_model,
)
from tests.doubles import (
    make_card,
    make_generator,
    make_head,
    make_heads,
    make_style_card,
    make_style_generator,
)
from tests.model_store.readers.parity import FIXTURES

GRADCTRL = str(Path(sys.executable).with_name("gradctrl"))


def run(*arguments: str, code: int = 0) -> str:
    """Stdout of a run that succeeds, stderr of one that fails."""
    out, err = io.StringIO(), io.StringIO()
    found = 0
    with (
        mock.patch.object(sys, "argv", [GRADCTRL, *arguments]),
        mock.patch.dict(os.environ, COLUMNS="200"),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            found = ended.code if isinstance(ended.code, int) else 0
    assert found == code, out.getvalue() + err.getvalue()
    return (err if code else out).getvalue()


def run_alone(*arguments: str, code: int = 0) -> str:
    """The same in a process of its own, as a user runs it; `serve` becomes another program."""
    env = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([GRADCTRL, *arguments], env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file."""
    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize(
    "command",
    [
        "fetch",
        "models",
        "generate",
        "edit",
        "bank",
        "label",
        "train",
        "train-encoder",
        "tune",
        "directions",
        "invert",
        "evaluate",
        "export-onnx",
    ],
)
def test_every_command_has_help(command: str) -> None:
    assert "Usage" in run(command, "--help")


def test_the_installed_command_runs(tiny: StoredModel) -> None:
    assert "Usage" in run_alone("serve", "--help")
    assert tiny.tag in run_alone("models")
    assert run_alone("models", "nobody", code=2).startswith("error: no model 'nobody'")


def test_models_lists_and_shows(tiny: StoredModel) -> None:
    assert f"{tiny.tag}  dcgan  16 px  smile, age, hair" in run("models")
    assert '"family": "dcgan"' in run("models", "tiny")


def test_generate_writes_images_and_latents(tiny: StoredModel, tmp_path: Path) -> None:
    run("generate", "tiny", "--seeds", "3-4", "-o", str(tmp_path))
    assert size_of(tmp_path / "seed3.png") == (16, 16)
    with np.load(tmp_path / "seed4.npz") as saved:
        assert saved["latent"].shape == (1, 16)


def test_paths_are_printed_as_they_are(tiny: StoredModel, tmp_path: Path) -> None:
    folder = str(tmp_path / "run[/a]:smile:")
    assert folder in run("generate", "tiny", "--seeds", "3", "-o", folder).replace("\n", "")


def test_an_interrupted_bank_says_how_to_go_on(
    tiny: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sampling, "make_bank", interrupted)
    printed = run("bank", "tiny", "-o", str(tmp_path), code=130)
    assert printed == "stopped; run the same command again to resume\n"


def test_edit_writes_a_strip(tiny: StoredModel, tmp_path: Path) -> None:
    strip = tmp_path / "strip.png"
    arguments = ["--attribute", "hair", "--target", "blond", "--steps", "4", "--exclude", "age:2"]
    printed = run("edit", "tiny", "--seed", "1", *arguments, "-o", str(strip))
    assert "hair=blond" in printed
    assert size_of(strip) == (16 * 2 * 5, 32)


@pytest.mark.parametrize("method", ["gradctrl-released", "interfacegan", "stylespace"])
def test_edit_takes_a_method(tiny_lines: StoredModel, tmp_path: Path, method: str) -> None:
    strip = tmp_path / "strip.png"
    arguments = ["--attribute", "age", "--target", "old", "--steps", "3", "--method", method]
    printed = run("edit", "tiny-lines", *arguments, "-o", str(strip))
    assert "in 3 steps" in printed
    assert ("heads cannot read" in printed) == (method == "stylespace")
    with Image.open(strip) as image:
        frames = np.asarray(image).reshape(32, 4, 32, 3)
    assert (frames[:, 0] != frames[:, 3]).any()


def test_conditional_models_take_a_class(tiny_cond: StoredModel, tmp_path: Path) -> None:
    run("generate", "tiny-cond", "--seeds", "3", "--class-label", "1", "-o", str(tmp_path))
    labels = class_labels(tiny_cond.card, 1)
    with np.load(tmp_path / "seed3.npz") as saved:
        expected = sample_latents(tiny_cond.generator(), [3], 0.8, labels)[0]
        np.testing.assert_allclose(saved["latent"], expected, atol=1e-6)
    edit = ["edit", "tiny-cond", "--attribute", "smile", "--target", "smiling"]
    strip = tmp_path / "strip.png"
    run(*edit, "--class-label", "1", "--layers", "1:3", "-o", str(strip))
    assert size_of(strip) == (16 * 2 * 7, 32)
    run("bank", "tiny-cond", "--samples", "2", "--class-label", "2", "-o", str(tmp_path / "bank"))
    assert "takes as class_label a class 0..2" in run(*edit, code=2)


@pytest.mark.slow
def test_bank_label_train_make_a_servable_model(tmp_path: Path) -> None:
    save_model(make_generator(), make_card("afternoon", attributes=()), {})
    bank = str(tmp_path / "bank")
    run("bank", "afternoon", "--samples", "300", "-o", bank)
    latents = np.load(tmp_path / "bank" / "latents.npy")[:, 0]
    rows = [f"{i},{'high' if latents[i, 2] > 0 else 'low'}" for i in range(200)]
    table = tmp_path / "people.csv"
    table.write_text("sample,level\n" + "\n".join(rows))
    assert "level: high" in run("label", bank, "--csv", str(table))
    assert "background: dark" in run("label", bank, "--with", "background", "--first", "120")
    background = read_labels(tmp_path / "bank")["background"].labels()
    assert (background >= 0).tolist() == [True] * 120 + [False] * 180
    table.write_text("sample,level\n" + "\n".join(rows[:60]))
    printed = run("train", "afternoon", "--bank", bank, "--attributes", "level")
    assert "level: validation accuracy" in printed
    assert "stored gradctrl-afternoon:" in printed
    assert "afternoon" in run("models")
    run("edit", "afternoon", "--attribute", "level", "--target", "high", "-o", f"{bank}/s.png")


def test_commands_at_once_keep_each_other_s_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(make_generator(), make_card("at-once"), make_heads())
    bank, table = str(tmp_path / "bank"), tmp_path / "people.csv"
    run("bank", "at-once", "--samples", "12", "-o", bank)
    rows = [f"{n},{'high' if n % 2 else 'low'}" for n in range(12)]
    table.write_text("\n".join(["sample,level", *rows]))
    run("label", bank, "--csv", str(table))
    train_model = training.train_model

    def another_meanwhile(model: StoredModel, *rest: Any) -> list[training.TrainedAttribute]:
        other = AttributeCard(name="other", classes=("no", "yes"))
        save_attributes(model, [other], {"other": make_head(2, 3)})
        return train_model(model, *rest)

    monkeypatch.setattr(training, "train_model", another_meanwhile)
    printed = run("train", "at-once", "--bank", bank)
    assert "cross-validated" in printed
    assert "warning: level: 6 labelled samples of its rarest class, not 30" in printed
    names = [one.name for one in find_model("at-once").card.attributes]
    assert names == ["smile", "age", "hair", "other", "level"]


def test_few_labels_spread_to_all_layers_and_tuned_defaults(
    bentoml_home: Path, tmp_path: Path
) -> None:
    card = make_style_card("spread").model_copy(update={"attributes": ()})
    save_model(make_style_generator(card), card, {})
    bank = str(tmp_path / "bank")
    run("bank", "spread", "--samples", "400", "--mixing", "-o", bank)
    images = np.load(tmp_path / "bank" / "images.npy")
    corner = images[:, :8, :8].astype(float).mean(axis=(1, 2, 3))
    names = np.where(corner > np.median(corner), "bright", "dark")
    table = tmp_path / "labels.csv"
    table.write_text("sample,corner\n" + "\n".join(f"{n},{c}" for n, c in enumerate(names)))
    run("label", bank, "--csv", str(table))
    printed = run("train", "spread", "--bank", bank, "--spread", "--rounds", "0")
    assert "corner: validation accuracy" in printed
    assert "taught by pixels read with" in printed
    assert find_model("spread").card.heads_read == "all_layers"
    printed = run("tune", "spread", "--bank", bank, "--samples", "4")
    assert "corner: success" in printed
    assert find_model("spread").card.attributes[0].defaults.goal is not None
    again = run("tune", "spread", "--bank", bank, "--samples", "4")
    assert "corner: success" in again
    chosen = [line for line in printed.splitlines() if line.startswith("corner:")]
    assert chosen == [line for line in again.splitlines() if line.startswith("corner:")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["fetch", "mona-lisa"],
            "error: no public model 'mona-lisa'; there are: avatars, celeba, digiface",
        ),
        (["models", "nobody"], "error: no model 'nobody' in the store"),
        (["edit", "tiny", "--attribute", "x", "--target", "y"], "error: model 'tiny' has no"),
        (
            ["edit", "tiny", "--attribute", "hair", "--target", "blond", "--exclude", "age:16"],
            "error: the exclusions leave no channel",
        ),
        (
            ["edit", "tiny", "--attribute", "age", "--target", "old", "--method", "magic"],
            "error: no method 'magic'; there are: gradctrl",
        ),
        (
            ["edit", "tiny", "--attribute", "age", "--target", "old", "--method", "ganspace"],
            "error: model 'tiny' has no directions of ganspace for 'age'; it has: gradctrl, ",
        ),
        (
            ["edit", "tiny", "--attribute", "age", "--target", "old", "--step-size", "nan"],
            "error: expected 0 < step_size <= 10, got nan",
        ),
        (
            ["edit", "nobody", "--attribute", "age", "--target", "old", "-o", "folder"],
            "error: -o: expected an image file such as strip.png, got 'folder'",
        ),
        (["generate", "tiny", "--seeds", "a", "-o", "x"], "error: seeds: expected"),
        (["label", "nowhere", "--with", "background"], "error: nowhere: no bank.json"),
        (["label", "nowhere"], "error: give exactly one of --with, --csv and --remove"),
        (["train", "tiny", "--bank", "nowhere"], "error: nowhere: no bank.json"),
        (["evaluate", "tiny", "--bank", "nowhere", "-o", "x"], "error: nowhere: no bank.json"),
        (
            ["evaluate", "tiny", "--bank", "x", "-o", "x", "--methods", "magic"],
            "error: no method 'magic'; there are: gradctrl",
        ),
    ],
)
def test_bad_input_is_one_line(tiny: StoredModel, arguments: list[str], message: str) -> None:
    printed = run(*arguments, code=2)
    assert printed.startswith(message)
    assert printed.count("\n") == 1


def test_importing_stores_a_checkpoint_and_prints_its_card(bentoml_home: Path) -> None:
    printed = run("import", str(FIXTURES / "sg2ada_cond.pkl"), "--name", "mine", "--licence", "CC0")
    card = json.loads(printed[: printed.rindex("}") + 1])
    assert (card["family"], card["resolution"], card["num_ws"]) == ("stylegan2", 32, 8)
    assert (card["c_dim"], card["provenance"]["licence"]) == (3, "CC0")
    assert printed.splitlines()[-1] == f"stored {find_model('mine').tag}"
    folder = str(FIXTURES / "gradctrl_released" / "model_ffhq")
    arguments = ["--model", "mine", "--classes", "pose=left,right", "--classes", "age=old,young"]
    printed = run("import-classifiers", folder, *arguments)
    attributes = json.loads(printed[: printed.rindex("}") + 1])["attributes"]
    assert [one["name"] for one in attributes] == ["gender", "smile", "eyeglasses", "age", "pose"]
    assert attributes[-1]["classes"] == ["left", "right"]
    assert attributes[2]["defaults"]["layers"] == [1, 4]
    assert "gender, smile, eyeglasses, age, pose" in run("models")


def test_an_imported_model_is_edited_by_imported_classifiers(
    bentoml_home: Path, tmp_path: Path
) -> None:
    import_classifiers(
        FIXTURES / "gradctrl_released" / "model_ffhq",
        import_checkpoint(FIXTURES / "sg2ada_cond.pkl", "edited"),
    )
    strip = tmp_path / "strip.png"
    arguments = ["--attribute", "smile", "--target", "smiling", "--class-label", "1"]
    printed = run("edit", "edited", *arguments, "-o", str(strip))
    assert "in 9 steps" in printed
    width, height = size_of(strip)
    assert width == 10 * height


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "nowhere.pkl", "--name", "x"], "error: nowhere.pkl: No such file"),
        (
            ["import", "hostile/evil_reduce.pkl", "--name", "x"],
            "error: evil_reduce.pkl: refused at byte 13: the file asks for os.system, which is not",
        ),
        (
            ["import-classifiers", "gradctrl_released/model_cat", "--model", "tiny"],
            "error: color reads 512 channels, latents of tiny have 16",
        ),
        (
            [
                *("import-classifiers", "gradctrl_released/model_ffhq"),
                *("--model", "tiny", "--classes", "age=Old,Young"),
            ],
            "error: classes: age: expected different names",
        ),
    ],
)
def test_refused_imports_are_one_line(
    tiny: StoredModel, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FIXTURES)
    printed = run(*arguments, code=2)
    assert printed.startswith(message)
    assert printed.count("\n") == 1
