"""export/onnx_export.py: files that compute what torch does, of every family, or a reason."""

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from export import onnx_export
from export.commands import app
from export.importing import import_checkpoint
from export.onnx_export import export_onnx
from export.onnx_tracing import OnnxMismatchError
from model_store import (
    GENERATOR_KEY,
    MAPPING_FILE,
    SYNTHESIS_FILE,
    OnnxError,
    StoredModel,
    find_model,
    open_onnx,
    open_session,
    save_files,
    save_model,
)
from tests.doubles import make_heads, make_style_card, make_style_generator
from tests.model_store.readers.parity import FIXTURES

FILES = ["rosinality.pt", "sg1tf.pkl", "sg2tf_f.pkl", "sg2ada_cond.pkl", "sg3_t.pkl", "sg3_r.pkl"]


@pytest.fixture(scope="module")
def exported(tiny_style: StoredModel) -> StoredModel:
    """The tiny StyleGAN2 with its ONNX files, under a name of its own."""
    card = tiny_style.card.model_copy(update={"name": "tiny-onnx"})
    model, _ = export_onnx(save_files(tiny_style, {}, card))
    return model


def expect_same(model: StoredModel, batch: int) -> None:
    torch_one, onnx_one = model.generator(), open_onnx(model, "cpu", 1)
    card, source = model.card, torch.manual_seed(batch)
    z = torch.randn(batch, card.z_dim, generator=source)
    labels: Tensor | None = None
    if card.c_dim:
        labels = torch.eye(card.c_dim)[torch.arange(batch) % card.c_dim]
    cutoffs = [None] if card.num_ws is None else [None, 2]
    for psi, cutoff in [(1.0, None), *((0.5, one) for one in cutoffs)]:
        expected = torch_one.mapping(z, labels, psi, cutoff)
        torch.testing.assert_close(
            onnx_one.mapping(z, labels, psi, cutoff), expected, atol=1e-3, rtol=0
        )
    images = torch_one.synthesis(expected)
    torch.testing.assert_close(onnx_one.synthesis(expected), images, atol=1e-3, rtol=0)


@pytest.mark.parametrize("file", FILES)
def test_checkpoints_of_every_family_compute_the_same(bentoml_home: Path, file: str) -> None:
    stored = import_checkpoint(FIXTURES / file, f"onnx-{Path(file).stem}".replace("_", "-"))
    model, reports = export_onnx(stored)
    assert {one.name for one in reports} == {SYNTHESIS_FILE, MAPPING_FILE}
    assert all(one.error <= onnx_export.TOLERANCE for one in reports)
    for batch in (1, 4):
        expect_same(model, batch)


def test_a_dcgan_has_no_mapping_to_export(tiny: StoredModel) -> None:
    card = tiny.card.model_copy(update={"name": "tiny-dcgan-onnx"})
    model, reports = export_onnx(save_files(tiny, {}, card))
    assert [one.name for one in reports] == [SYNTHESIS_FILE]
    assert MAPPING_FILE not in model.card.files
    assert list(model.card.onnx) == [SYNTHESIS_FILE]
    expect_same(model, 3)


def test_files_are_recorded_and_say_what_they_are_of(exported: StoredModel) -> None:
    assert {SYNTHESIS_FILE, MAPPING_FILE} <= exported.card.files.keys()
    for name in (SYNTHESIS_FILE, MAPPING_FILE):
        proto = onnx.load(exported.path / name)
        onnx.checker.check_model(proto, full_check=True)
        facts = {one.key: one.value for one in proto.metadata_props}
        assert facts[GENERATOR_KEY] == exported.card.files["generator.safetensors"]
        card = exported.card.onnx[name]
        assert card.opset == proto.opset_import[0].version
        assert card.compared_with == facts["gradctrl.compared_with"] == "CPUExecutionProvider"
        assert card.tolerance == float(facts["gradctrl.tolerance"])
        assert str(Path(__file__).parents[2]) not in str(proto)  # nothing of this machine
    again, _ = export_onnx(exported)
    assert again.tag == exported.tag  # the same bytes


def test_a_network_that_differs_is_not_stored(
    tiny_style: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", 0.0)
    before = find_model(tiny_style.card.name).tag
    with pytest.raises(OnnxMismatchError, match="nothing was stored"):
        export_onnx(tiny_style)
    assert find_model(tiny_style.card.name).tag == before


def test_refusals_say_what_to_do(tiny_style: StoredModel, exported: StoredModel) -> None:
    with pytest.raises(OnnxError, match="run: gradctrl export-onnx tiny-style"):
        open_onnx(tiny_style, "cpu", 1)
    card = make_style_card("tiny-stale")
    other = save_model(make_style_generator(card, seed=9), card, make_heads())
    stale = save_files(other, {SYNTHESIS_FILE: exported.path / SYNTHESIS_FILE})
    with pytest.raises(OnnxError, match="made of another generator"):
        open_onnx(stale, "cpu", 1)
    with pytest.raises(OnnxError, match="CUDAExecutionProvider"):
        open_session(exported.path / SYNTHESIS_FILE, "cuda", 1)
    with pytest.raises(OnnxError, match="cannot run this model"):
        open_session(b"not a model", "cpu", 1)


def test_what_it_cannot_do_is_refused(exported: StoredModel) -> None:
    generator = open_onnx(exported, "cpu", 1)
    with pytest.raises(ValueError, match="noise_mode"):
        generator.synthesis(torch.zeros(1, *exported.card.latent_shape), "none")
    with pytest.raises(ValueError, match="class labels"):
        generator.mapping(torch.zeros(1, exported.card.z_dim), torch.zeros(1, 3))


def test_the_command_says_what_it_wrote(tiny: StoredModel) -> None:
    card = tiny.card.model_copy(update={"name": "tiny-command-onnx"})
    save_files(tiny, {}, card)
    found = CliRunner().invoke(app, ["export-onnx", "tiny-command-onnx"])
    assert found.exit_code == 0, found.output
    assert "synthesis.onnx: opset" in found.output
    assert SYNTHESIS_FILE in find_model("tiny-command-onnx").card.files
