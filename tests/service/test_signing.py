"""service/signing.py: manifests that the library's own reader takes, and what is refused."""

import base64
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import c2pa
import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from PIL import Image

from model_store import StoredModel
from service.images import MEDIA_TYPES, Encoding, encode_frames
from service.provenance import COMPOSITE, MADE, SERVICE_VERSION, Provenance
from service.rendering import compress
from service.settings import Settings
from service.signing import RECEIPT_LABEL, Sign, SigningError, signing_of, unsigned
from tests.certificates import SIGNS, Identity, Key, TimestampAuthority, issue
from tests.servers import free_port, refused_start, running_server

UNTRUSTED = ["signingCredential.untrusted"]
CHANGED = ["assertion.dataHash.mismatch"]
RECEIPT = Provenance("tiny", "ab" * 32)
FRAMES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
EDIT = {"source": {"seed": 7}, "edits": [{"attribute": "smile", "target": "smiling", "steps": 2}]}


@pytest.fixture(scope="module")
def root() -> Identity:
    return issue("root")


@pytest.fixture(scope="module")
def authority(root: Identity) -> Identity:
    """What issues the certificates of signers."""
    return issue("authority", root)


@pytest.fixture
def write(authority: Identity, tmp_path: Path) -> Any:
    """Writes an identity's files; gives the settings that name them."""

    def written(leaf: Identity, chain: bytes | None = None) -> dict[str, Any]:
        certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
        certificate.write_bytes(leaf.pem + (authority.pem if chain is None else chain))
        key.write_bytes(leaf.key_pem)
        return {"c2pa_certificate": certificate, "c2pa_key": key}

    return written


@pytest.fixture
def files(authority: Identity, write: Any) -> dict[str, Any]:
    """Settings of a signer that is in order."""
    return write(issue("signer", authority, usages=SIGNS))


@pytest.fixture
def sign(files: dict[str, Any]) -> Sign:
    return signing_of(Settings(**files))


def variables(files: dict[str, Any]) -> dict[str, str]:
    return {f"GRADCTRL_{name.upper()}": str(value) for name, value in files.items()}


def read(file: bytes, media_type: str, root: Identity | None = None) -> dict[str, Any]:
    """State, failures, manifest, actions and receipt as a reader has them, who may trust a root."""
    trust = {} if root is None else {"trust": {"trust_anchors": root.pem.decode()}}
    context = c2pa.Context.from_dict(trust) if trust else None
    with c2pa.Reader(media_type, io.BytesIO(file), context=context) as reader:
        results = reader.get_validation_results()["activeManifest"]
        manifest = reader.get_active_manifest()
        state = reader.get_validation_state()
    data = {one["label"]: one["data"] for one in manifest["assertions"]}
    return {
        "state": state,
        "failures": [one["code"] for one in results["failure"]],
        "successes": [one["code"] for one in results["success"]],
        "manifest": manifest,
        "actions": data["c2pa.actions.v2"]["actions"],
        "receipt": data[RECEIPT_LABEL],
    }


def file_of(sign: Sign, format: str, animation: bool = False) -> bytes:
    encoding = Encoding(format, 90, None)  # type: ignore[arg-type]
    return compress(FRAMES, encoding, animation, RECEIPT, encode_frames, sign)[0]


@pytest.mark.parametrize(
    ("format", "animation"),
    [
        ("png", False),
        ("jpeg", False),
        ("webp", False),
        ("gif", False),
        ("webp", True),
        ("gif", True),
    ],
)
def test_every_format_is_signed_and_shows_the_same(
    sign: Sign, root: Identity, format: str, animation: bool
) -> None:
    signed, plain = (file_of(one, format, animation) for one in (sign, unsigned))
    found = read(signed, MEDIA_TYPES[format])
    assert (found["state"], found["failures"]) == ("Valid", UNTRUSTED)
    trusted = read(signed, MEDIA_TYPES[format], root)
    assert (trusted["state"], trusted["failures"]) == ("Trusted", [])
    with Image.open(io.BytesIO(signed)) as after, Image.open(io.BytesIO(plain)) as before:
        assert getattr(after, "n_frames", 1) == getattr(before, "n_frames", 1)
        assert after.info.get("xmp") == before.info.get("xmp")
        assert after.info.get("comment") == before.info.get("comment")
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before))


def test_the_manifest_says_what_made_it(sign: Sign) -> None:
    found = read(file_of(sign, "png"), "image/png")
    (generator,) = found["manifest"]["claim_generator_info"]
    assert (generator["name"], generator["version"]) == ("GradCtrl", SERVICE_VERSION)
    assert found["actions"] == [{"action": "c2pa.created", "digitalSourceType": MADE}]
    assert found["receipt"] == json.loads(RECEIPT.as_json())
    assert "thumbnail" not in found["manifest"]


def test_a_composite_is_an_edited_photo(sign: Sign) -> None:
    paste = {"photo": np.zeros((32, 32, 3), np.uint8), "matrix": np.eye(2, 3)}
    png = Encoding("png", 90, None)
    (file,) = compress(FRAMES[:1], png, False, RECEIPT, encode_frames, sign, paste)
    found = read(file, "image/png")
    assert (found["state"], found["failures"]) == ("Valid", UNTRUSTED)
    opened, edited = found["actions"]
    assert opened["action"] == "c2pa.opened"
    assert edited == {"action": "c2pa.edited", "digitalSourceType": COMPOSITE}
    (photo,) = found["manifest"]["ingredients"]
    assert (photo["title"], photo["relationship"]) == ("photo", "parentOf")
    assert found["receipt"]["is_composite"] is True


def flipped(png: bytes) -> bytes:
    """The file with one bit of its pixels changed."""
    place = png.index(b"IDAT") + 30
    return png[:place] + bytes([png[place] ^ 1]) + png[place + 1 :]


def test_a_changed_pixel_is_found(sign: Sign, root: Identity) -> None:
    found = read(flipped(file_of(sign, "png")), "image/png", root)
    assert (found["state"], found["failures"]) == ("Invalid", CHANGED)


def test_equal_images_are_not_equal_files(sign: Sign) -> None:
    assert file_of(sign, "png") != file_of(sign, "png")
    assert file_of(unsigned, "png") == file_of(unsigned, "png")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-384", "P-521", "Ed25519", "RSA"],
)
def test_other_keys_sign_too(authority: Identity, write: Any, key: Key) -> None:
    signs = signing_of(Settings(**write(issue("signer", authority, key, SIGNS))))
    assert read(file_of(signs, "png"), "image/png")["state"] == "Valid"


def test_a_time_stamp_is_in_the_signature(
    files: dict[str, Any], root: Identity, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with TimestampAuthority(root, tmp_path_factory.mktemp("times")) as times:
        signs = signing_of(Settings(**files, c2pa_timestamp_url=times.url))
        file = file_of(signs, "png")
        assert times.asked == 1 + len(FRAMES)  # the first pixel, and each frame
    found = read(file, "image/png", root)
    assert {"timeStamp.validated", "timeStamp.trusted"} <= set(found["successes"])
    assert found["manifest"]["signature_info"]["time"]
    with pytest.raises(SigningError, match="GRADCTRL_C2PA_TIMESTAMP_URL"):  # it is gone
        file_of(signs, "png")


@pytest.mark.parametrize(
    ("leaf", "line"),
    [
        ({"usages": [ExtendedKeyUsageOID.SERVER_AUTH]}, "the certificate is invalid"),
        ({"usages": SIGNS, "ends": timedelta(minutes=-1)}, "not valid at time of signing"),
        (
            {"usages": SIGNS, "key": ec.generate_private_key(ec.SECP256K1())},
            "C2PA_KEY: expected P-256",
        ),
    ],
)
def test_a_certificate_that_readers_refuse_is_refused(
    authority: Identity, write: Any, leaf: dict[str, Any], line: str
) -> None:
    with pytest.raises(SigningError, match=line) as error:
        signing_of(Settings(**write(issue("signer", authority, **leaf))))
    assert "GRADCTRL_C2PA_" in str(error.value)


def test_files_that_do_not_fit_are_refused(authority: Identity, write: Any) -> None:
    leaf, other = (issue(name, authority, usages=SIGNS) for name in ("signer", "other"))
    with pytest.raises(SigningError, match="each to be signed by the next"):
        signing_of(Settings(**write(leaf, other.pem)))
    for name, text, line in (
        ("c2pa_key", other.key_pem, "GRADCTRL_C2PA_KEY: not the key of the first certificate"),
        ("c2pa_key", b"no key", "GRADCTRL_C2PA_KEY: expected a PEM key without password"),
        ("c2pa_certificate", b"none", "GRADCTRL_C2PA_CERTIFICATE: expected PEM certificates"),
    ):
        files = write(leaf)
        files[name].write_bytes(text)
        with pytest.raises(SigningError, match=line):
            signing_of(Settings(**files))


def test_no_certificate_signs_nothing() -> None:
    assert signing_of(Settings()) is unsigned


@pytest.mark.parametrize(
    ("left", "line"),
    [
        ({"CERTIFICATE"}, "GRADCTRL_C2PA_CERTIFICATE, GRADCTRL_C2PA_KEY: give both or none"),
        ({"KEY"}, "GRADCTRL_C2PA_CERTIFICATE, GRADCTRL_C2PA_KEY: give both or none"),
        ({"TIMESTAMP_URL"}, "GRADCTRL_C2PA_TIMESTAMP_URL needs GRADCTRL_C2PA_CERTIFICATE"),
        ({"CERTIFICATE", "KEY"}, "GRADCTRL_C2PA_KEY: not the key of the first certificate"),
    ],
)
def test_a_start_with_half_of_it_is_one_line(
    tiny: StoredModel,
    bentoml_home: Path,
    authority: Identity,
    files: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    left: set[str],
    line: str,
) -> None:
    files["c2pa_key"].write_bytes(issue("other", authority, usages=SIGNS).key_pem)
    given = {**variables(files), "GRADCTRL_C2PA_TIMESTAMP_URL": "http://127.0.0.1:9/"}
    for name in left:
        monkeypatch.setenv(f"GRADCTRL_C2PA_{name}", given[f"GRADCTRL_C2PA_{name}"])
    assert line in refused_start(
        bentoml_home, "--port", str(free_port()), "--models", "tiny", "--grpc-port", "0"
    )


def test_a_start_without_the_package_says_what_to_install(
    tiny: StoredModel,
    bentoml_home: Path,
    files: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "c2pa.py").write_text("raise ImportError('as if it were not there')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name, value in variables(files).items():
        monkeypatch.setenv(name, value)
    line = refused_start(
        bentoml_home, "--port", str(free_port()), "--models", "tiny", "--grpc-port", "0"
    )
    assert line.startswith("error: GRADCTRL_C2PA_CERTIFICATE needs the extra c2pa")


@pytest.mark.slow
def test_the_service_signs_what_it_answers(
    tiny: StoredModel, bentoml_home: Path, files: dict[str, Any], root: Identity, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    with running_server(bentoml_home, log, "--models", "tiny", **variables(files)) as url:
        image = httpx.post(f"{url}/v1/edit/image", json=EDIT, timeout=60)
        again = httpx.post(f"{url}/v1/edit/image", json=EDIT, timeout=60)
        body = {**EDIT, "output": {"format": "webp"}}
        edited = httpx.post(f"{url}/v1/edit", json=body, timeout=60).json()
    assert image.headers["etag"].startswith('W/"')
    assert image.content == again.content  # from the cache
    frame = base64.b64decode(edited["frames"][0]["image"])
    for file, media_type in ((image.content, "image/png"), (frame, "image/webp")):
        found = read(file, media_type)
        assert (found["state"], found["failures"]) == ("Valid", UNTRUSTED)
        assert read(file, media_type, root)["state"] == "Trusted"
        assert found["receipt"]["model_sha256"] == edited["receipt"]["model_sha256"]
    assert read(flipped(image.content), "image/png")["failures"] == UNTRUSTED + CHANGED
