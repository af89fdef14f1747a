"""export/banks.py: reproducible, resumable, honest about what it holds."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.banks import make_bank, open_bank, open_bank_of, write_pngs
from export.errors import BankError
from export.sampling import drawn_labels, sample_latents
from model_store import PlanError, StoredModel, class_labels, save_model, z_from_seed
from tests.doubles import CUTOFF, make_card, make_generator, make_heads
from tests.full_disks import files_up_to


def test_samples_come_from_their_seeds(tiny: StoredModel, tmp_path: Path) -> None:
    make_bank(tiny, 70, tmp_path, first_seed=5)
    bank = open_bank(tmp_path, "tiny")
    assert bank.images.shape == (70, 16, 16, 3)
    assert bank.images.dtype == np.uint8
    np.testing.assert_array_equal(bank.latents[66, 0], z_from_seed(71, 16))


def test_images_to_label_are_named_by_their_sample(tiny: StoredModel, tmp_path: Path) -> None:
    make_bank(tiny, 12, tmp_path, first_seed=5)
    folder = write_pngs(tmp_path, 11)
    assert {path.name for path in folder.iterdir()} == {f"{n}.png" for n in range(11)}
    with Image.open(folder / "10.png") as image:
        np.testing.assert_array_equal(np.asarray(image), open_bank(tmp_path).images[10])


def test_an_interrupted_bank_resumes_to_the_same_bytes(tiny: StoredModel, tmp_path: Path) -> None:
    make_bank(tiny, 150, tmp_path / "whole")

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_bank(tiny, 150, tmp_path / "parts", progress=stop)
    with pytest.raises(BankError, match="64 of 150"):
        open_bank(tmp_path / "parts")
    steps: list[int] = []
    make_bank(tiny, 150, tmp_path / "parts", progress=steps.append)
    assert steps == [128, 150]
    for name in ("latents.npy", "images.npy"):
        whole, parts = ((tmp_path / folder / name).read_bytes() for folder in ("whole", "parts"))
        assert whole == parts


def test_a_bank_takes_its_place_on_the_disk_first(tiny: StoredModel, tmp_path: Path) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_bank(tiny, 5000, tmp_path / "begun", progress=stop)
    for name in ("latents.npy", "images.npy"):
        found = (tmp_path / "begun" / name).stat()
        assert found.st_blocks * 512 >= found.st_size
    with files_up_to(20_000), pytest.raises(BankError, match=r"latents\.npy: no room for"):
        make_bank(tiny, 5000, tmp_path / "full")


def test_a_bank_of_a_conditional_model_draws_a_class_per_seed(
    tiny_cond: StoredModel, tmp_path: Path
) -> None:
    make_bank(tiny_cond, 70, tmp_path / "whole")
    make_bank(tiny_cond, 6, tmp_path / "late", first_seed=64)
    whole, late = open_bank(tmp_path / "whole"), open_bank(tmp_path / "late")
    np.testing.assert_allclose(whole.latents[64:], late.latents, atol=1e-6)
    labels = drawn_labels(tiny_cond.card, range(300))
    assert labels is not None
    assert (labels.sum(axis=1) == 1).all()
    assert (labels.sum(axis=0) > 70).all()


def test_a_bank_of_one_class_records_it(tiny_cond: StoredModel, tmp_path: Path) -> None:
    info = make_bank(tiny_cond, 5, tmp_path, class_label=2)
    assert (info.class_label, info.truncation, info.truncation_cutoff) == (2, 0.8, CUTOFF)
    expected = sample_latents(tiny_cond.generator(), range(5), 0.8, class_labels(tiny_cond.card, 2))
    np.testing.assert_allclose(open_bank(tmp_path).latents, expected, atol=1e-6)
    for other in (None, 1):
        with pytest.raises(BankError, match="holds another bank"):
            make_bank(tiny_cond, 5, tmp_path, class_label=other)
    with pytest.raises(PlanError, match=r"a class 0\.\.2"):
        make_bank(tiny_cond, 5, tmp_path / "new", class_label=3)
    assert not (tmp_path / "new").exists()


def test_another_bank_is_not_overwritten(tiny: StoredModel, tmp_path: Path) -> None:
    make_bank(tiny, 10, tmp_path)
    with pytest.raises(BankError, match=r"another bank \(samples 10, not 11\)"):
        make_bank(tiny, 11, tmp_path)
    with pytest.raises(BankError, match="not 'other'"):
        open_bank(tmp_path, "other")


def test_missing_and_broken_banks(tmp_path: Path) -> None:
    with pytest.raises(BankError, match=r"no bank\.json"):
        open_bank(tmp_path)
    (tmp_path / "bank.json").write_text(json.dumps({"model": 1}))
    with pytest.raises(BankError, match="not a bank description"):
        open_bank(tmp_path)


def test_a_bank_of_other_weights_is_refused(tmp_path: Path) -> None:
    first = save_model(make_generator(), make_card("banked"), make_heads())
    make_bank(first, 4, tmp_path)
    save_model(make_generator(seed=9), make_card("banked"), make_heads())
    with pytest.raises(BankError, match="other generator weights"):
        open_bank_of(tmp_path, "banked")
