"""API keys: who may call, by a file of hashed keys that is read again when it changes.

A line is `NAME SHA256`, the hash in hexadecimal; empty lines and those that begin with # are
skipped. Keys are 256 random bits, so one round of SHA-256 is enough: there is nothing to guess.
Knows no transport.

    python -m service.api_keys NAME >> keys.txt     # the key itself goes to stderr, once
"""

import hashlib
import hmac
import logging
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from service.errors import ApiError

PREFIX = "gc_"  # so that a leaked key can be found by its looks
HEADER = "authorization"
SCHEME = "bearer"
MAX_KEY_LENGTH = 256
_LINE = re.compile(r"([\w.-]{1,64})\s+([0-9a-f]{64})")

logger = logging.getLogger("gradctrl.service")


class KeyFileError(Exception):
    """A file of keys that cannot be read; names the line."""


def read_keys(file: Path) -> dict[str, bytes]:
    """Hashes by name; KeyFileError for anything but a file of keys."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{file}: {error}") from error
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, start=1):
        if not (text := line.strip()) or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None or match[1] in keys:
            what = "the same name twice" if match else "expected NAME and the SHA-256 of a key"
            raise KeyFileError(f"{file}, line {number}: {what}")
        keys[match[1]] = bytes.fromhex(match[2])
    if not keys:
        raise KeyFileError(f"{file}: no keys; make one with: python -m service.api_keys NAME")
    return keys


def hash_of(key: str) -> bytes:
    """What the file has of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


class ApiKeys:
    """The keys of a file; a file that becomes unreadable keeps the keys that were valid before."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state = _state_of(file)
        self._keys = read_keys(file)

    def name_of(self, headers: Mapping[str, str | bytes]) -> str:
        """The name of the key that a call carries; ApiError without a valid one.

        Header names are lower case. Every hash is compared, each in constant time.
        """
        self._read_again()
        value = headers.get(HEADER, "")
        scheme, _, key = (value if isinstance(value, str) else "").partition(" ")
        if scheme.lower() != SCHEME or not key:
            raise _unauthenticated("this service asks for a key: Authorization: Bearer KEY")
        given = hash_of(key[:MAX_KEY_LENGTH])
        found = [name for name, known in self._keys.items() if hmac.compare_digest(known, given)]
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
    if len(sys.argv) != 2 or not re.fullmatch(r"[\w.-]{1,64}", sys.argv[1]):
        raise SystemExit(
            "usage: python -m service.api_keys NAME >> FILE   (letters, digits, . _ -)"
        )
    key = f"{PREFIX}{secrets.token_urlsafe(32)}"
    print(f"{sys.argv[1]} {hash_of(key).hex()}")
    print(f"the key of {sys.argv[1]}, shown once: {key}", file=sys.stderr)


if __name__ == "__main__":
    main()
