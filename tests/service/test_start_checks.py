"""service/start_checks.py: what would fail later is one line before anything starts."""

import socket
from pathlib import Path

import pytest
import trustme

from model_store import StoredModel
from tests.servers import free_port, refused_start


def test_a_port_in_use_is_one_line(tiny: StoredModel, bentoml_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused_start(bentoml_home, "--port", str(port), "--models", "tiny")
    assert line == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_grpc_port_in_use_is_one_line(tiny: StoredModel, bentoml_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ("--port", str(free_port()), "--models", "tiny", "--grpc-port", str(port))
        line = refused_start(bentoml_home, *arguments)
    assert line == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_one_port_for_both_apis_is_one_line(tiny: StoredModel, bentoml_home: Path) -> None:
    port = str(free_port())
    line = refused_start(bentoml_home, "--port", port, "--models", "tiny", "--grpc-port", port)
    assert line == f"error: REST and gRPC cannot both listen on port {port}\n"


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("DEVICE", "cuda:4096", "GRADCTRL_DEVICE: expected auto, cpu or one of the "),
        ("JOB_STORE", "/nonexistent/x.db", "GRADCTRL_JOB_STORE: /nonexistent/x.db: unable to open"),
        ("JOB_STORE", __file__, "test_start_checks.py: file is not a database"),
        (
            "PERCEPTUAL_NETWORK",
            __file__,
            "GRADCTRL_PERCEPTUAL_NETWORK: test_start_checks.py: not a Torch",
        ),
        ("RELOAD_MODELS", "nope", "GRADCTRL_RELOAD_MODELS: no model 'nope' in the store"),
    ],
)
def test_a_setting_that_cannot_be_served_is_one_line(
    tiny: StoredModel,
    bentoml_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    line: str,
) -> None:
    monkeypatch.setenv(f"GRADCTRL_{variable}", value)
    assert line in refused_start(bentoml_home, "--port", str(free_port()), "--models", "tiny")


def test_certificates_that_are_none_are_one_line(
    tiny: StoredModel, bentoml_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    issued = trustme.CA().issue_cert("localhost")
    chain = tmp_path / "chain.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(chain)
    monkeypatch.setenv("GRADCTRL_GRPC_TLS_CERT", str(chain))
    monkeypatch.setenv("GRADCTRL_GRPC_TLS_KEY", __file__)
    line = refused_start(bentoml_home, "--port", str(free_port()), "--models", "tiny")
    assert line.startswith("error: GRADCTRL_GRPC_TLS_CERT, GRADCTRL_GRPC_TLS_KEY: expected")
    monkeypatch.setenv("GRADCTRL_GRPC_TLS_KEY", str(chain))
    monkeypatch.setenv("GRADCTRL_GRPC_TLS_CLIENT_CA", __file__)
    line = refused_start(bentoml_home, "--port", str(free_port()), "--models", "tiny")
    assert line.startswith("error: GRADCTRL_GRPC_TLS_CLIENT_CA: expected PEM")
