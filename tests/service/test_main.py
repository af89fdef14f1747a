"""`python -m service`: what is checked before anything starts, and its help."""

import os
from pathlib import Path

import pytest

from model_store import StoredModel
from service.__main__ import become_server, keep_paths
from service.settings import Settings
from tests.servers import free_port, refused_start, try_service


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("GRPC_TLS_CERT", "nowhere.pem", "GRADCTRL_GRPC_TLS_CERT: Path does not point to a file"),
        ("GRPC_TLS_KEY", __file__, "grpc_tls_cert, grpc_tls_key: give both or none"),
        ("GRPC_TLS_CLIENT_CA", __file__, "needs grpc_tls_cert and grpc_tls_key"),
        ("TIMEOUT_S", "soon", "GRADCTRL_TIMEOUT_S: Input should be a valid number"),
        ("RATE_LIMIT", "0/minute", "GRADCTRL_RATE_LIMIT: Value error, expected one rate such as"),
        ("RATE_LIMIT", "6/minute; 1/second", "expected one rate such as 600/minute, got '6/minute"),
        ("DEVICE", "foo", "GRADCTRL_DEVICE: String should match pattern '^(auto|cpu|cuda"),
        ("OTLP_ENDPOINT", "collector:4318", "GRADCTRL_OTLP_ENDPOINT: String should match pattern"),
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
    assert line in refused_start(bentoml_home, "--port", str(free_port()), "--models", "tiny")


def test_a_misspelt_setting_is_named_with_the_one_that_is_meant(
    bentoml_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADCTRL_API_KEY_FILE", "keys.txt")
    monkeypatch.setenv("GRADCTRL_TIMEOUT_S", "soon")
    done = try_service(bentoml_home, "--port", str(free_port()))
    assert done.stderr.splitlines()[0] == (
        "warning: GRADCTRL_API_KEY_FILE is no setting; the nearest is GRADCTRL_API_KEYS_FILE"
    )


def test_workers_in_another_folder_get_the_same_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").touch()
    monkeypatch.setenv("GRADCTRL_API_KEYS_FILE", "keys.txt")
    monkeypatch.setenv("GRADCTRL_JOB_STORE", "jobs.db")
    keep_paths(Settings())
    monkeypatch.chdir("/")
    assert Settings().api_keys_file == tmp_path / "keys.txt"
    assert Settings().job_store == str(tmp_path / "jobs.db")


def test_an_empty_store_is_one_line(tmp_path: Path) -> None:
    line = refused_start(tmp_path)
    assert line == "error: the model store is empty; run: gradctrl fetch avatars\n"


def test_an_unknown_model_is_one_line(tiny: StoredModel, bentoml_home: Path) -> None:
    line = refused_start(bentoml_home, "--models", "tiny,nobody")
    assert line.startswith("error: no model 'nobody' in the store; it holds [")


def test_help_lists_every_setting(bentoml_home: Path) -> None:
    done = try_service(bentoml_home, "--help")
    assert done.returncode == 0
    for name in Settings.model_fields:
        assert f"GRADCTRL_{name.upper()}" in done.stdout


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
        raise Replaced(*command[1:])

    monkeypatch.setattr(os, "execv", execv)
    with pytest.raises(Replaced) as replaced:
        become_server("127.0.0.1", 3000, "cuda")
    assert replaced.value.args == ("-m", "service.server", "127.0.0.1", "3000")
