"""The OpenAPI document against the real service, by schemathesis with all its checks."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = 20  # per operation and phase; CONTRIBUTING.md has the long run


@pytest.mark.slow
def test_the_service_keeps_its_document(service_url: str, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).parent / "st"),
        f"--config-file={ROOT / 'schemathesis.toml'}",
        "run",
        f"{service_url}/v1/openapi.json",
        "--checks=all",
        f"--max-examples={EXAMPLES}",
        "--seed=6",
        "--continue-on-failure",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "generated" in done.stdout
