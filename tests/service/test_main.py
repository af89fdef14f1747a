"""`python -m service`: what is checked before anything starts, and its help."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from model_store import StoredModel
from service.__main__ import become_server
from service.api_keys import hash_of
from service.settings import Settings
from tests.servers import free_port, running


def serve(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "BENTOML_HOME": str(home)}
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_a_port_in_use_is_one_line(tiny: StoredModel, bentoml_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(bentoml_home, "--port", str(port), "--models", "tiny")
    assert done.returncode == 1
    assert done.stderr == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_grpc_port_in_use_is_one_line(tiny: StoredModel, bentoml_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ("--port", str(free_port()), "--models", "tiny", "--grpc-port", str(port))
        done = serve(bentoml_home, *arguments)
    assert done.returncode == 1
    assert done.stderr == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_one_port_for_both_apis_is_one_line(tiny: StoredModel, bentoml_home: Path) -> None:
    port = str(free_port())
    done = serve(bentoml_home, "--port", port, "--models", "tiny", "--grpc-port", port)
    assert done.returncode == 1
    assert done.stderr == f"error: REST and gRPC cannot both listen on port {port}\n"


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("GRPC_TLS_CERT", "nowhere.pem", "GRADCTRL_GRPC_TLS_CERT: Path does not point to a file"),
        ("GRPC_TLS_KEY", __file__, "grpc_tls_cert, grpc_tls_key: give both or none"),
        ("GRPC_TLS_CLIENT_CA", __file__, "needs grpc_tls_cert and grpc_tls_key"),
        ("TIMEOUT_S", "soon", "GRADCTRL_TIMEOUT_S: Input should be a valid number"),
    ],
)
def test_a_bad_setting_is_one_line(
    tiny: StoredModel,
    bentoml_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    line: str,
) -> None:
    monkeypatch.setenv(f"GRADCTRL_{variable}", value)
    done = serve(bentoml_home, "--port", str(free_port()), "--models", "tiny")
    assert done.returncode == 1
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_empty_store_is_one_line(tmp_path: Path) -> None:
    done = serve(tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: the model store is empty; run: gradctrl fetch avatars\n"


def test_an_unknown_model_is_one_line(tiny: StoredModel, bentoml_home: Path) -> None:
    done = serve(bentoml_home, "--models", "tiny,nobody")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no model 'nobody' in the store; it holds [")
    assert done.stderr.count("\n") == 1


def test_help_lists_every_setting(bentoml_home: Path) -> None:
    done = serve(bentoml_home, "--help")
    assert done.returncode == 0
    for name in Settings.model_fields:
        assert f"GRADCTRL_{name.upper()}" in done.stdout


def test_paths_of_settings_are_those_of_the_folder_that_it_starts_in(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "keys.txt").write_text(f"web {hash_of('web').hex()}\n")
    paths = {"GRADCTRL_API_KEYS_FILE": "keys.txt", "GRADCTRL_JOB_STORE": "jobs.db"}
    port = str(free_port())
    command = [sys.executable, "-m", "service", "--port", port, "--models", "tiny"]
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log.txt"
    with running(command, url, bentoml_home, log, paths, folder=tmp_path):
        assert httpx.get(f"{url}/v1/models").status_code == httpx.codes.UNAUTHORIZED
    assert (tmp_path / "jobs.db").exists()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADCTRL_MODELS", "a, b,")
    monkeypatch.setenv("GRADCTRL_MAX_BATCH_SIZE", "8")
    assert Settings().models == ("a", "b")
    assert Settings().max_batch_size == 8
    monkeypatch.setenv("GRADCTRL_DTYPE", "int8")
    with pytest.raises(ValueError, match="dtype"):
        Settings()


class Replaced(BaseException):
    """This process would be another program now."""


def test_sessions_on_a_gpu_end_with_the_process_that_checked_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def execv(program: str, command: list[str]) -> None:
        raise Replaced(*command[1:4])

    monkeypatch.setattr(os, "execv", execv)
    with pytest.raises(Replaced) as replaced:
        become_server("127.0.0.1", 3000, "cuda")
    assert replaced.value.args == ("-m", "bentoml", "serve")
