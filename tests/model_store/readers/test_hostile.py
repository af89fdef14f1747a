"""Hostile files, each in its own process: refused quickly, in little memory, running nothing."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.model_store.readers.parity import FIXTURES, manifest
from tests.servers import ROOT

MAX_SECONDS = 5
MAX_MEGABYTES = 500
MARKER = "gradctrl-pwn"  # what the fixtures' code would create in the working folder
ENTRIES: list[dict[str, Any]] = manifest()["hostile"]
NAMES = [Path(entry["file"]).name for entry in ENTRIES]
# What the message must say; a control or a file that may load has none.
FOUND = {
    "bomb_deflate.pt": "compressed",
    "bomb_laughs.pkl": "a list that is no generator",
    "bomb_length.pkl": "1099511627776 bytes are announced, 1 are left",
    "bomb_stride0.pt": "the tensors claim 1099511627776 numbers, the file has 528 B",
    "corrupt_byte.pt": "Bad CRC-32 for file 'rosinality/data/17'",
    "empty.pkl": "a file of 0 bytes",
    "empty.pt": "a file of 0 bytes",
    "evil_builtins_eval.pkl": "asks for builtins.eval, which is not allowed",
    "evil_in_snapshot.pkl": "asks for os.system, which is not allowed",
    "evil_nested_storage.pkl": "asks for os.system, which is not allowed",
    "evil_reduce.pkl": "asks for os.system, which is not allowed",
    "evil_reduce.pt": "asks for os.system, which is not allowed",
    "evil_reduce_legacy.pt": "asks for os.system, which is not allowed",
    "evil_torch_prefix.pkl": "asks for torch.serialization.os.system, which is not allowed",
    "image.pkl": "opcode b'P' is not one that a checkpoint needs",
    "missing_w_avg.pkl": "missing tensor 'mapping.w_avg'",
    "nan_weights.pkl": "synthesis.b8.torgb.weight holds NaN or infinity",
    "text.pkl": "opcode b'<' is not one that a checkpoint needs",
    "tf_absurd_resolution.pkl": "claims 1073741824 px, its weights make 32 px",
    "tf_transposed.pkl": "conv0.affine.weight: expected shape [24, 64], found [64, 24]",
    "truncated.pkl": "are left (truncated or forged)",
    "truncated.pt": "not a sound zip file",
    "wrong_object.pkl": "a dict that is no generator",
    "wrong_shape_transposed.pkl": "conv0.affine.weight: expected shape [24, 64], found [64, 24]",
}


def run(command: str, paths: Sequence[Path], folder: Path) -> list[dict[str, Any]]:
    """The outcome of every path; all work happens in `folder`."""
    arguments = [sys.executable, "-m", "tests.model_store.readers.processes", command]
    done = subprocess.run(
        [*arguments, *map(str, paths)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of every hostile file, by name, and what was left in the working folder."""
    folder = tmp_path_factory.mktemp("hostile")
    results = run("read", [FIXTURES / entry["file"] for entry in ENTRIES], folder)
    print()
    for name, one in zip(NAMES, results, strict=True):
        cost = f"{1000 * one['seconds']:5.0f} ms {one['megabytes']:5.1f} MB"
        print(f"{name:28}{cost}  {one['outcome'][:100]}")
    left = [path.name for path in folder.iterdir()]
    return {**dict(zip(NAMES, results, strict=True)), "folder": {"left": left}}


def test_all_are_there() -> None:
    assert len(ENTRIES) >= 28
    assert {entry["expect"] for entry in ENTRIES} <= {"load", "reject", "no-exec"}


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_it_is_refused_or_loaded_as_the_manifest_says(
    entry: dict[str, Any], outcomes: dict[str, dict[str, Any]]
) -> None:
    name = Path(entry["file"]).name
    one = outcomes[name]
    assert one["exit"] == 0
    loaded = one["outcome"].startswith("loaded a Stylegan")
    assert loaded or one["outcome"].startswith(f"refused: {name}: ")
    if entry["expect"] != "no-exec":
        assert loaded == (entry["expect"] == "load"), one["outcome"]
    if not loaded:
        assert FOUND.get(name, "") in one["outcome"]
    assert one["seconds"] < MAX_SECONDS
    assert one["megabytes"] < MAX_MEGABYTES
    assert one["ran"] == []


def test_the_working_folder_stays_empty(outcomes: dict[str, dict[str, Any]]) -> None:
    assert outcomes["folder"]["left"] == []


def test_a_careless_reader_would_have_been_caught(tmp_path: Path) -> None:
    (one,) = run("unpickle", [FIXTURES / "hostile" / "evil_reduce.pkl"], tmp_path)
    assert any(event.startswith("os.system") for event in one["ran"])
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]
