"""API keys: who may call, by a file of hashed keys that is read again when it changes.

A line is `NAME SHA256`, the hash in hexadecimal, and `admin` after it for a key that may also have
the service reload its models; empty lines and those that begin with # are skipped. Keys are 256
random bits, so one round of SHA-256 is enough: there is nothing to guess. Knows no transport.

    python -m service.api_keys NAME [admin] >> keys.txt     # the key itself goes to stderr, once
"""

import hashlib
import hmac
import logging
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.errors import ApiError

PREFIX = "gc_"  # so that a leaked key can be found by its looks
HEADER = "authorization"
SCHEME = "bearer"
MAX_KEY_LENGTH = 256
ADMIN = "admin"
_LINE = re.compile(rf"([\w.-]{{1,64}})\s+([0-9a-f]{{64}})(\s+{ADMIN})?")

logger = logging.getLogger("gradctrl.service")


class KeyFileError(Exception):
    """A file of keys that cannot be read; names the line."""


@dataclass(frozen=True)
class ApiKey:
    """A line of the file."""

    name: str
    sha256: bytes
    is_admin: bool


def read_keys(file: Path) -> list[ApiKey]:
    """The keys of a file; KeyFileError for anything but a file of keys."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{file}: {error}") from error
    keys: dict[str, ApiKey] = {}
    for number, line in enumerate(lines, start=1):
        if not (text := line.strip()) or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None or match[1] in keys:
            expected = f"expected NAME and the SHA-256 of a key, and perhaps {ADMIN}"
            what = "the same name twice" if match else expected
            raise KeyFileError(f"{file}, line {number}: {what}")
        keys[match[1]] = ApiKey(match[1], bytes.fromhex(match[2]), bool(match[3]))
    if not keys:
        raise KeyFileError(f"{file}: no keys; make one with: python -m service.api_keys NAME")
    return list(keys.values())


def hash_of(key: str) -> bytes:
    """What the file has of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


class ApiKeys:
    """The keys of a file; a file that becomes unreadable keeps the keys that were valid before."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state = _state_of(file)
        self._keys = read_keys(file)

    def key_of(self, headers: Mapping[str, str | bytes]) -> ApiKey:
        """The key that a call carries; ApiError without a valid one.

        Header names are lower case. Every hash is compared, each in constant time.
        """
        self._read_again()
        value = headers.get(HEADER, "")
        scheme, _, key = (value if isinstance(value, str) else "").partition(" ")
        if scheme.lower() != SCHEME or not key:
            raise _unauthenticated("this service asks for a key: Authorization: Bearer KEY")
        given = hash_of(key[:MAX_KEY_LENGTH])
        found = [one for one in self._keys if hmac.compare_digest(one.sha256, given)]
        if not found:
            raise _unauthenticated("this key is not known")
        return found[0]

    def _read_again(self) -> None:
        state = _state_of(self._file)
        if state == self._state:
            return
        self._state = state
        try:
            self._keys = read_keys(self._file)
            logger.info("read %d API keys again", len(self._keys))
        except KeyFileError as error:
            logger.error("the API keys stay as they were: %s", error)


def _state_of(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; a mounted secret is replaced."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _unauthenticated(message: str) -> ApiError:
    return ApiError(
        "unauthenticated", message, "authorization", headers={"WWW-Authenticate": "Bearer"}
    )


def main() -> None:
    """Print a line for the file, and the new key to stderr."""
    name, *role = sys.argv[1:] or [""]
    if role not in ([], [ADMIN]) or not re.fullmatch(r"[\w.-]{1,64}", name):
        raise SystemExit(
            f"usage: python -m service.api_keys NAME [{ADMIN}] >> FILE   (letters, digits, . _ -)"
        )
    key = f"{PREFIX}{secrets.token_urlsafe(32)}"
    print(" ".join([name, hash_of(key).hex(), *role]))
    print(f"the key of {name}, shown once: {key}", file=sys.stderr)


if __name__ == "__main__":
    main()
