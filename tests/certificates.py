"""Certificate chains as C2PA wants them, and a time-stamp authority of this machine."""

import datetime
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
SIGNS = (ExtendedKeyUsageOID.EMAIL_PROTECTION,)
STAMPS = (ExtendedKeyUsageOID.TIME_STAMPING,)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL
            if not isinstance(self.key, ed25519.Ed25519PrivateKey)
            else serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def issue(
    name: str,
    issuer: Identity | None = None,  # None: itself
    key: Key | None = None,
    usages: Sequence[x509.ObjectIdentifier] = (),  # none: an authority
    begins: datetime.timedelta = -DAY,  # from now
    ends: datetime.timedelta = 30 * DAY,
) -> Identity:
    """An authority, or an end entity for some usages."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    is_authority, now = not usages, datetime.datetime.now(datetime.UTC)
    signs = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer.certificate.subject if issuer else _named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signs.public_key()), False
        )
        .add_extension(_usage(is_authority), critical=True)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=usages == STAMPS)
    algorithm = None if isinstance(signs, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Identity(builder.sign(signs, algorithm), key)


def _named(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "GradCtrl tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


TSA_CONFIG = """[tsa]
serial = {folder}/serial
default_policy = 1.2.3.4
digests = sha256, sha384, sha512
signer_digest = sha256
ess_cert_id_alg = sha256
"""


class TimestampAuthority:
    """A real RFC 3161 server: OpenSSL's answers over HTTP."""

    def __init__(self, root: Identity, folder: Path) -> None:
        stamp = issue("time stamps", root, usages=STAMPS)
        (folder / "tsa.pem").write_bytes(stamp.pem)
        (folder / "tsa.key").write_bytes(stamp.key_pem)
        (folder / "chain.pem").write_bytes(root.pem)
        (folder / "tsa.cnf").write_text(TSA_CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self.asked = 0
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["content-length"]))
                reply = authority.reply(query, folder)
                self.send_response(200)
                self.send_header("content-type", "application/timestamp-reply")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def reply(self, query: bytes, folder: Path) -> bytes:
        """The signed time of a query."""
        self.asked += 1
        (folder / "query").write_bytes(query)
        command = ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "tsa"]
        command += ["-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key"]
        done = subprocess.run(
            [*command, "-chain", "chain.pem"], cwd=folder, capture_output=True, check=True
        )
        return done.stdout

    def __enter__(self) -> "TimestampAuthority":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
