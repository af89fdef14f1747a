"""service/exposure.py: no API without keys beyond this machine, unless somebody says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.exposure import ExposedError, expect_guarded
from service.settings import Settings
from tests.servers import ROOT, free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_alone_needs_no_keys(host: str) -> None:
    expect_guarded(Settings(), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "gradctrl.example"])
def test_an_address_that_others_reach_needs_keys(host: str, tmp_path: Path) -> None:
    with pytest.raises(ExposedError, match="GRADCTRL_API_KEYS_FILE"):
        expect_guarded(Settings(), "127.0.0.1", host)
    expect_guarded(Settings(allow_anonymous=True), host)
    file = tmp_path / "keys.txt"
    file.touch()
    expect_guarded(Settings(api_keys_file=file), host)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "there are no API keys"),
        ({"GRADCTRL_API_KEYS_FILE": "README.md"}, "README.md, line 3: expected NAME"),
        ({"GRADCTRL_RATE_LIMIT": "many"}, "expected one rate such as 600/minute"),
        ({"GRADCTRL_BACKEND": "onnx", "GRADCTRL_DTYPE": "float16"}, "ONNX files are float32"),
    ],
)
def test_serve_says_so_in_a_line(
    tiny: object, bentoml_home: Path, environment: dict[str, str], says: str
) -> None:
    ports = ("--port", str(free_port()), "--grpc-port", "0")
    command = [sys.executable, "-m", "service", "--models", "tiny", *ports]
    env = {**os.environ, "BENTOML_HOME": str(bentoml_home), **environment}
    found = subprocess.run(
        [*command, "--host", "0.0.0.0"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 1
    assert says in found.stderr
    assert "Traceback" not in found.stderr
