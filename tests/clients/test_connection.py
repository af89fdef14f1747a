"""gradctrl_client.connection: TLS of both transports, with a private authority."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from gradctrl_client import Client, ServiceUnreachableError, Tls

from model_store import StoredModel
from tests.doubles import ScriptedServer
from tests.servers import free_port, running_server

MODELS = (200, {"content-type": "application/json"}, b'{"models": []}')


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of this test."""
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """PEM files of the authority, a server and a client."""
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("127.0.0.1", "client"):
        certificate = authority.issue_cert(name)
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def https(files: dict[str, Path]) -> Iterator[ScriptedServer]:
    """A server that wants a certificate of its clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files["ca.pem"])
    context.load_cert_chain(files["127.0.0.1.pem"], files["127.0.0.1.key"])
    context.verify_mode = ssl.CERT_REQUIRED
    with ScriptedServer([MODELS], context) as server:
        yield server


def test_https_with_certificates_on_both_sides(
    https: ScriptedServer, files: dict[str, Path]
) -> None:
    tls = Tls(files["ca.pem"], files["client.pem"], files["client.key"])
    with Client(https.url, tls=tls) as client:
        assert client.models() == []


def test_an_authority_that_nobody_named_is_not_trusted(https: ScriptedServer) -> None:
    with Client(https.url, retries=0) as client, pytest.raises(ServiceUnreachableError):
        client.models()


@pytest.mark.slow
def test_grpcs_with_certificates_on_both_sides(
    tiny: StoredModel, files: dict[str, Path], bentoml_home: Path, tmp_path: Path
) -> None:
    port = free_port()
    settings = {
        "GRADCTRL_GRPC_TLS_CERT": str(files["127.0.0.1.pem"]),
        "GRADCTRL_GRPC_TLS_KEY": str(files["127.0.0.1.key"]),
        "GRADCTRL_GRPC_TLS_CLIENT_CA": str(files["ca.pem"]),
    }
    arguments = ("--models", "tiny", "--grpc-port", str(port))
    tls = Tls(files["ca.pem"], files["client.pem"], files["client.key"])
    with running_server(bentoml_home, tmp_path / "log.txt", *arguments, **settings):
        with Client(f"grpcs://127.0.0.1:{port}", tls=tls) as client:
            assert client.models()[0]["name"] == "tiny"
        unknown = Client(f"grpcs://127.0.0.1:{port}", tls=Tls(files["ca.pem"]), retries=0)
        with unknown as client, pytest.raises(ServiceUnreachableError):
            client.models()
