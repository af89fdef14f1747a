"""Signs compressed images: a C2PA manifest with the receipt inside. Knows no pixels and no request.

Off unless the settings name a certificate. The library (extra `c2pa`) is imported when it is on.
"""

import io
import json
import uuid
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from service.provenance import COMPOSITE, MADE, Provenance
from service.settings import ENV_PREFIX, Settings

Sign = Callable[[bytes, str, Provenance], bytes]  # file, media type, what made it -> the file
RECEIPT_LABEL = "gradctrl.receipt"
CERTIFICATE = f"{ENV_PREFIX}C2PA_CERTIFICATE"
KEY = f"{ENV_PREFIX}C2PA_KEY"
TIMESTAMP_URL = f"{ENV_PREFIX}C2PA_TIMESTAMP_URL"
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
# Whom readers trust is the reader's choice; everything else would be our mistake.
EXPECTED_FAILURES = {"signingCredential.untrusted"}
# A thumbnail is larger than the image itself (up to 1.2 MB for 64 px); and our own images are not
# read again one by one: the first one at the start was.
OPTIONS = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}
PNG = "image/png"


class SigningError(Exception):
    """Images cannot be signed as the settings ask; the message names the setting."""


def unsigned(image: bytes, media_type: str, provenance: Provenance) -> bytes:
    """The image as it is."""
    return image


def signing_of(config: Settings) -> Sign:
    """What signs images as set; raises SigningError unless a first one is valid."""
    if config.c2pa_certificate is None or config.c2pa_key is None:
        return unsigned
    signer = ImageSigner(
        _library(),
        _read(CERTIFICATE, config.c2pa_certificate),
        _read(KEY, config.c2pa_key),
        config.c2pa_timestamp_url or None,
    )
    signer.expect_valid()
    return signer.sign


class ImageSigner:
    """Signs files of any format that C2PA knows: PNG, JPEG, WebP and GIF among them."""

    def __init__(
        self, c2pa: ModuleType, chain: bytes, key: bytes, timestamp_url: str | None
    ) -> None:
        self._c2pa = c2pa
        self._named = CERTIFICATE if timestamp_url is None else f"{CERTIFICATE}, {TIMESTAMP_URL}"
        algorithm, plain_key = _read_key(chain, key)
        try:
            self._context = c2pa.Context.from_dict(OPTIONS)
            self._signer = c2pa.Signer.from_info(
                c2pa.C2paSignerInfo(algorithm.encode(), chain, plain_key, timestamp_url)
            )
        except c2pa.C2paError as error:
            raise SigningError(f"{self._named}: {error}") from error

    def sign(self, image: bytes, media_type: str, provenance: Provenance) -> bytes:
        """The image with a manifest; no two are equal, because each has an id of its own."""
        signed = io.BytesIO()
        manifest = json.dumps(manifest_of(provenance))
        try:
            with self._c2pa.Builder(manifest, context=self._context) as builder:
                builder.sign(self._signer, media_type, io.BytesIO(image), signed)
        except self._c2pa.C2paError as error:
            raise SigningError(f"{self._named}: {error}") from error
        return signed.getvalue()

    def expect_valid(self) -> None:
        """Sign a pixel; raises SigningError where a reader would refuse it."""
        pixel = io.BytesIO()
        Image.new("RGB", (1, 1)).save(pixel, "PNG")
        signed = self.sign(pixel.getvalue(), PNG, Provenance("", ""))
        with self._c2pa.Reader(PNG, io.BytesIO(signed)) as reader:
            results = reader.get_validation_results()
        failures = results["activeManifest"]["failure"]
        found = {one["code"]: one.get("explanation", "") for one in failures}
        wrong = [f"{code} ({found[code]})" for code in sorted(found.keys() - EXPECTED_FAILURES)]
        if wrong:
            raise SigningError(f"{CERTIFICATE}: readers would refuse images: {', '.join(wrong)}")


def manifest_of(provenance: Provenance) -> dict[str, Any]:
    """The claim: who made the file and of what, and the receipt."""
    manifest: dict[str, Any] = {
        "claim_generator_info": [{"name": "GradCtrl", "version": provenance.version}]
    }
    actions: list[dict[str, Any]] = [{"action": "c2pa.created", "digitalSourceType": MADE}]
    if provenance.is_composite:  # the photo is not at hand as the file that it was
        photo = f"xmp.iid:{uuid.uuid4()}"
        manifest["ingredients"] = [
            {"title": "photo", "instance_id": photo, "relationship": "parentOf"}
        ]
        actions = [
            {"action": "c2pa.opened", "parameters": {"ingredientIds": [photo]}},
            {"action": "c2pa.edited", "digitalSourceType": COMPOSITE},
        ]
    manifest["assertions"] = [
        {"label": "c2pa.actions", "data": {"actions": actions}},
        {"label": RECEIPT_LABEL, "data": json.loads(provenance.as_json())},
    ]
    return manifest


def _library() -> ModuleType:
    try:
        import c2pa
    except ImportError as error:
        raise SigningError(
            f"{CERTIFICATE} needs the extra c2pa: pip install -e '.[c2pa]' ({error})"
        ) from error
    return c2pa


def _read(variable: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SigningError(f"{variable}: {path}: {error.strerror}") from error


def _read_key(chain: bytes, pem: bytes) -> tuple[str, bytes]:
    """C2PA's name of the algorithm and the key as PKCS 8; a SigningError where they do not fit."""
    from cryptography import x509  # comes with c2pa-python
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise SigningError(f"{CERTIFICATE}: expected PEM certificates: {error}") from error
    try:
        for one, issuer in pairwise(certificates):
            one.verify_directly_issued_by(issuer)
    except (TypeError, ValueError, InvalidSignature) as error:
        raise SigningError(f"{CERTIFICATE}: expected each to be signed by the next") from error
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(f"{KEY}: expected a PEM key without password: {error}") from error
    if key.public_key() != certificates[0].public_key():
        raise SigningError(f"{KEY}: not the key of the first certificate in {CERTIFICATE}")
    plain = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _algorithm_of(key), plain


def _algorithm_of(key: object) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise SigningError(f"{KEY}: expected P-256, P-384, P-521, Ed25519 or RSA")
