"""clients/examples: every one runs against the real service and shows what it promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gradctrl_client import Client
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "clients" / "examples"


def run(
    folder: Path, *command: str | Path, fails: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done


def run_python(
    folder: Path, script: str, *arguments: str | Path, fails: bool = False
) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, EXAMPLES / script, *arguments, fails=fails)


def test_curl(service_url: str, tmp_path: Path) -> None:
    shown = run(tmp_path, "bash", EXAMPLES / "curl.sh", service_url).stdout
    with Image.open(tmp_path / "edited.webp") as animation:
        assert getattr(animation, "n_frames", 1) == 7
    with Image.open(tmp_path / "edited.png") as image:
        assert image.size == (16, 16)
    assert shown.count("event: frame") == 7
    assert "event: summary" in shown
    assert " is done\n" in shown
    assert "\n304\n" in shown
    error = json.loads(shown.splitlines()[-1])["error"]
    assert (error["code"], error["field"]) == ("unknown_class", "edits[0].target")


def test_reflection_lists_and_calls(grpc_address: str, tmp_path: Path) -> None:
    listed = run_python(tmp_path, "reflection.py", grpc_address).stdout
    assert "gradctrl.v1.EditService/Edit(EditRequest) -> EditResponse" in listed
    assert "EditStream(EditStreamRequest) -> stream EditStreamResponse" in listed
    service = "gradctrl.v1.EditService"
    body = json.dumps({"seeds": [36]})
    answer = run_python(tmp_path, "reflection.py", grpc_address, f"{service}/Generate", body)
    assert json.loads(answer.stdout)["space"] == "z"
    edit = {"source": {"seed": 3}, "edits": [{"attribute": "age", "target": "old", "steps": 2}]}
    body = json.dumps({"edit": edit})
    answer = run_python(tmp_path, "reflection.py", grpc_address, f"{service}/EditStream", body)
    assert answer.stdout.count('"frame": {') == 3


def test_reflection_shows_refusals(grpc_address: str, tmp_path: Path) -> None:
    method = "gradctrl.v1.EditService/Generate"
    for body, message in (('{"seedz": [1]}', "seedz"), ('{"seeds": [-1]}', "INVALID_ARGUMENT")):
        done = run_python(tmp_path, "reflection.py", grpc_address, method, body, fails=True)
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_quickstart_over_both_transports(
    service_url: str, grpc_address: str, tmp_path: Path
) -> None:
    shown = run_python(tmp_path, "quickstart.py", service_url, "rest").stdout
    assert "edits[0].target may be not_smiling or smiling" in shown
    assert "7 frames" in shown
    over_grpc = run_python(tmp_path, "quickstart.py", f"grpc://{grpc_address}", "rpc").stdout
    assert "gRPC has no submit_job" in over_grpc
    names = sorted(path.name for path in (tmp_path / "rest").iterdir())
    assert names == ["smiling.png", *(f"step-{step:02}.png" for step in range(7))]
    for name in names:
        assert (tmp_path / "rest" / name).read_bytes() == (tmp_path / "rpc" / name).read_bytes()


def test_many_edits(service_url: str, tmp_path: Path) -> None:
    shown = run_python(tmp_path, "many_edits.py", service_url, "edits").stdout
    assert len(shown.splitlines()) == len(list((tmp_path / "edits").glob("*.png"))) == 16


def test_batch_goes_on_where_it_was_and_reports_what_it_could_not_edit(
    service_url: str, tmp_path: Path
) -> None:
    latents = tmp_path / "latents"
    latents.mkdir()
    for seed in range(3):
        z = np.random.RandomState(seed).randn(16).astype(np.float32)
        np.savez(latents / f"seed{seed}.npz", latent=z, space="z")
    command = ("batch.py", latents, "out", "--url", service_url, "--attribute", "smile")
    first = run_python(tmp_path, *command, "--target", "smiling").stdout
    assert first.endswith("3 edited, 0 failed\n")
    with np.load(latents / "seed2.npz") as arrays, Client(service_url) as client:
        expected = client.edit("smile", "smiling", latent=arrays["latent"], frames="final")
    assert (tmp_path / "out" / "seed2.npz.png").read_bytes() == expected.frames[-1].encoded

    (tmp_path / "out" / "seed1.npz.png").unlink()
    np.savez(latents / "short.npz", latent=z[:5], space="z")
    (latents / "broken.npz").write_bytes(b"no archive")
    again = run_python(tmp_path, *command, "--target", "smiling", fails=True)
    assert again.stdout.endswith("1 edited, 2 failed\n")
    assert "short.npz: bad_latent" in again.stderr
    assert not list((tmp_path / "out").glob("*.partial"))


def test_batch_keeps_files_of_one_stem_apart(service_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "same"
    folder.mkdir()
    with Client(service_url) as client:
        generated = client.generate([1])
    np.savez(folder / "a.npz", latent=generated.latents[0], space="z")
    (folder / "a.png").write_bytes(generated.encoded[0])
    command = ("batch.py", folder, "out", "--url", service_url)
    shown = run_python(tmp_path, *command, "--attribute", "smile", "--target", "smiling").stdout
    assert shown.endswith("2 edited, 0 failed\n")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.npz.png", "a.png.png"]


@pytest.fixture(scope="module")
def notebook_cells() -> list[str]:
    """The code of the notebook, cell by cell."""
    notebook = json.loads((EXAMPLES / "quickstart.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert not [cell for cell in cells if cell.get("outputs")]  # committed without outputs
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook(service_url: str, tmp_path: Path, notebook_cells: list[str]) -> None:
    """It has no magics, so that plain Python runs it, cell by cell, in one namespace."""
    runner = (
        "import json, sys\n"
        "scope = {}\n"
        "for cell in json.load(sys.stdin):\n"
        "    exec(compile(cell, '<cell>', 'exec'), scope)\n"
        "print(scope['edit'].frames[-1].scores['smile'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", runner],
        cwd=tmp_path,
        env={**os.environ, "GRADCTRL_URL": service_url},
        input=json.dumps(notebook_cells),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "unknown_attribute" in done.stdout
    assert "smiling" in done.stdout.splitlines()[-1]
