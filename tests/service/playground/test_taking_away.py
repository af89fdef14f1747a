"""Code and files to take away: they make the same picture."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.servers import ROOT
from tests.service.playground.visits import Visit

LINK = "#model=tiny-style&seed=8&truncation=0.6&edit=smile/smiling/layers=0-4/exclude=age:2"


def code(visit: Visit, language: str) -> str:
    visit.page.get_by_role("button", name="Code").click()
    visit.page.get_by_role("radio", name=language).check()
    visit.page.get_by_role("button", name="Copy", exact=True).click()
    expect(visit.page.get_by_text("Code copied.")).to_be_visible()
    return str(visit.page.evaluate("navigator.clipboard.readText()"))


def pixels(encoded: bytes) -> bytes:
    return Image.open(io.BytesIO(encoded)).tobytes()


def test_the_python_code_makes_the_same_picture(visit: Visit, tmp_path: Path) -> None:
    visit.open(LINK)
    visit.choose("hair", "blond")
    program = code(visit, "Python")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, check=True)
    assert pixels((tmp_path / "edited.png").read_bytes()) == pixels(visit.picture())


def test_the_curl_command_makes_the_same_picture(visit: Visit, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl: apt-get install curl")
    visit.open(LINK)
    visit.choose("hair", "blond")
    subprocess.run(["sh", "-c", code(visit, "curl")], cwd=tmp_path, check=True)
    assert (tmp_path / "edited.png").read_bytes() == visit.picture()


def test_the_files_to_save(visit: Visit) -> None:
    visit.open(LINK)
    with visit.page.expect_download() as saved:
        visit.page.get_by_role("button", name="Save PNG").click()
    assert saved.value.suggested_filename == "tiny-style-8-smiling.png"
    picture = Image.open(io.BytesIO(saved.value.path().read_bytes()))
    assert (picture.format, picture.size) == ("PNG", (512, 512))
    with visit.page.expect_download() as saved:
        visit.page.get_by_role("button", name="Save animation").click()
    film = Image.open(io.BytesIO(saved.value.path().read_bytes()))
    assert (film.format, film.size) == ("WEBP", (512, 512))
    assert getattr(film, "n_frames", 1) == len(visit.strip()) == 7
