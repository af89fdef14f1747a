"""Thousands of damaged checkpoints: no crash, no hang, no code run, typed errors only."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.model_store.readers.parity import FIXTURES
from tests.servers import ROOT

MUTATIONS_EACH = 2_000  # about half of bytes, half of opcodes
SEEDS = (1, 2)
MAX_SECONDS = 5


def start(seed: int, scratch: Path) -> "subprocess.Popen[str]":
    """A process that reads mutated files."""
    scratch.mkdir()
    arguments = ["fuzz", str(FIXTURES), str(seed), str(MUTATIONS_EACH), str(scratch)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.model_store.readers.processes", *arguments],
        cwd=scratch,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Its counts; a crash or an endless run fails here."""
    answer, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(answer)
    return found


@pytest.mark.slow
def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    running = [start(seed, tmp_path / str(seed)) for seed in SEEDS]
    try:
        results = [result(process) for process in running]
    finally:
        for process in running:
            process.kill()
    for found in results:
        print(f"\n{found}")
        assert found["ran"] == []
        assert found["untyped"] == []
        assert found["slowest"] < MAX_SECONDS
        assert found["loaded"] + found["refused"] == MUTATIONS_EACH
        assert min(found["loaded"], found["refused"]) > MUTATIONS_EACH / 50
    for seed in SEEDS:
        left = {path.name for path in (tmp_path / str(seed)).iterdir()}
        assert left == {"mutated", "model.pth", "model_params.pkl"}
