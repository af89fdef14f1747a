"""What is generated is what the service says today: the document, the Python and TypeScript code.

`make sdk` writes all of them again.
"""

import filecmp
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.generate_sdk import GENERATED, generate
from service.openapi import document

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
TYPES = "gradctrl.d.ts"
REMEDY = "run make sdk"


def test_the_document_is_that_of_the_service(service_url: str) -> None:
    written = (CLIENTS / "openapi.json").read_text()
    assert written == document(), REMEDY
    assert json.loads(written) == httpx.get(f"{service_url}/v1/openapi.json").json()


@pytest.mark.slow
def test_the_python_code_is_that_of_the_document(tmp_path: Path) -> None:
    fresh = tmp_path / "generated"
    generate(fresh)
    names = python_files(fresh)
    assert names == python_files(GENERATED), REMEDY
    _, different, missing = filecmp.cmpfiles(fresh, GENERATED, names, shallow=False)
    assert not different + missing, REMEDY


def python_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.py"))


@pytest.fixture(scope="module")
def web(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of clients/typescript with its pinned tools installed."""
    folder = tmp_path_factory.mktemp("clients") / "typescript"
    shutil.copytree(CLIENTS / "typescript", folder, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(CLIENTS / "openapi.json", folder.parent)
    npm(folder, "ci")
    return folder


def npm(folder: Path, *arguments: str) -> None:
    command = ["npm", "--silent", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_types_are_those_of_the_document_and_check(web: Path) -> None:
    npm(web, "run", "generate")
    assert (web / TYPES).read_text() == (CLIENTS / "typescript" / TYPES).read_text(), REMEDY
    npm(web, "run", "check")


RUN_EXAMPLE = """
import { edit, editStream, imageUrl, GradCtrlError } from "./out/example.js";
const [service] = process.argv.slice(2);
const edits = [{ attribute: "smile", target: "smiling" }];
const whole = await edit(service, { source: { seed: 7 }, edits });
const frames = [];
const summary = await editStream(service, { source: { seed: 7 }, edits }, (f) => frames.push(f));
const refused = await edit(service, { source: { seed: 7 }, edits: [{ ...edits[0], target: "x" }] })
  .catch((error) => (error instanceof GradCtrlError ? error.refusal : Promise.reject(error)));
const same = JSON.stringify(frames) === JSON.stringify(whole.frames);
console.log(JSON.stringify({ same, latent: summary.latent, refused, url: imageUrl(frames[0]) }));
"""


@pytest.mark.slow
def test_the_web_example_runs(web: Path, node: str, service_url: str) -> None:
    shutil.copy(CLIENTS / "typescript" / TYPES, web)
    npm(web, "exec", "--", "tsc", "--noEmit", "false", "--outDir", "out")
    (web / "run.mjs").write_text(RUN_EXAMPLE)
    done = subprocess.run(
        [node, "run.mjs", service_url], cwd=web, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    assert shown["same"] is True
    assert shown["latent"]["space"] == "z"
    assert shown["refused"]["allowed"] == ["not_smiling", "smiling"]
    assert shown["url"].startswith("data:image/png;base64,iVBOR")
