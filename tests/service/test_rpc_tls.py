"""TLS of the gRPC API on the real service, and the certificates of its clients."""

from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from model_store import StoredModel
from service.wire import edit_pb2_grpc as wire_grpc
from tests.rpc_calls import edit_request, stub_of
from tests.servers import free_port, running_server

pytestmark = pytest.mark.slow

TIMEOUT_S = 5


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority of this test."""
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """Settings for a server with a certificate for localhost."""
    certificate = authority.issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return {"GRADCTRL_GRPC_TLS_CERT": str(cert), "GRADCTRL_GRPC_TLS_KEY": str(key)}


def edit(address: str, credentials: grpc.ChannelCredentials) -> Any:
    with grpc.secure_channel(address, credentials) as channel:
        stub = wire_grpc.EditServiceStub(channel)  # type: ignore[no-untyped-call]
        return stub.Edit(edit_request(), timeout=TIMEOUT_S)


def test_a_certificate_turns_tls_on(
    authority: trustme.CA,
    files: dict[str, str],
    tiny: StoredModel,
    bentoml_home: Path,
    tmp_path: Path,
) -> None:
    root = authority.cert_pem.bytes()
    port = free_port()
    arguments = ("--models", "tiny", "--grpc-port", str(port))
    with running_server(bentoml_home, tmp_path / "log.txt", *arguments, **files):
        credentials = grpc.ssl_channel_credentials(root_certificates=root)
        assert edit(f"localhost:{port}", credentials).frames
        with stub_of(f"localhost:{port}") as plain, pytest.raises(grpc.RpcError) as error:
            plain.Edit(edit_request(), timeout=TIMEOUT_S)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


def test_clients_can_be_asked_for_a_certificate(
    authority: trustme.CA,
    files: dict[str, str],
    tiny: StoredModel,
    bentoml_home: Path,
    tmp_path: Path,
) -> None:
    root = authority.cert_pem.bytes()
    (tmp_path / "clients.pem").write_bytes(root)
    files["GRADCTRL_GRPC_TLS_CLIENT_CA"] = str(tmp_path / "clients.pem")
    client = authority.issue_cert("client")
    known = grpc.ssl_channel_credentials(
        root, client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()
    )
    port = free_port()
    arguments = ("--models", "tiny", "--grpc-port", str(port))
    with running_server(bentoml_home, tmp_path / "log.txt", *arguments, **files):
        assert edit(f"localhost:{port}", known).frames
        with pytest.raises(grpc.RpcError) as error:
            edit(f"localhost:{port}", grpc.ssl_channel_credentials(root))
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
