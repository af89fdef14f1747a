"""bentofile.yaml: the built Bento serves from the store what the sources serve."""

import base64
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
import yaml

from deploy.requirements import COMPILED
from model_store import StoredModel, save_model
from service.playground.pages import page_files
from service.provenance import SERVICE_VERSION
from tests.doubles import make_card, make_generator, make_heads
from tests.servers import ROOT, free_port, running, running_server

EDIT = {
    "model": "avatars",
    "source": {"seed": 3},
    "edits": [{"attribute": "hair", "target": "blond", "steps": 5}],
}


def edit(url: str) -> dict[str, object]:
    answer = httpx.post(f"{url}/v1/edit", json=EDIT, timeout=30)
    assert answer.status_code == 200, answer.text
    frames = [base64.b64decode(frame["image"]) for frame in answer.json()["frames"]]
    return {"frames": frames, "latent": answer.json()["latent"]}


@pytest.fixture
def named_avatars(tiny: StoredModel) -> StoredModel:
    """The tiny model under the name that bentofile.yaml asks for."""
    return save_model(make_generator(), make_card("avatars"), make_heads())


@pytest.mark.slow
def test_the_bento_answers_the_same_bytes_in_another_directory(
    named_avatars: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    found = re.search(r"gradctrl:\w+", built.stdout)
    assert found, built.stdout
    with running_server(bentoml_home, tmp_path / "sources.txt", "--models", "avatars") as url:
        expected = edit(url)
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", found[0]]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "bento.txt"
    environment = {"GRADCTRL_MODELS": "avatars"}
    with running(command, url, bentoml_home, log, environment, folder=tmp_path) as bento:
        assert edit(bento) == expected
        for path, file in page_files().items():
            assert httpx.get(f"{bento}{path}").content == file.content


def test_the_bento_installs_what_is_hashed() -> None:
    python = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["python"]
    assert ROOT / python["requirements_txt"] == COMPILED
    assert not python["lock_packages"]  # it would write them again, without hashes


def test_the_receipt_names_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == SERVICE_VERSION
