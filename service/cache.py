"""Answers of deterministic requests, kept by their bytes. Knows nothing about models or HTTP."""

import hashlib
from collections import OrderedDict
from typing import Generic, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from service import metrics

Answer = TypeVar("Answer")
SHOWN_DIGITS = 32


def digest(kind: str, *parts: str | BaseModel) -> str:
    """One name for a request: equal requests have equal names, and other ones other names."""
    found = hashlib.sha256(kind.encode())
    for part in parts:
        found.update(b"\0" + _bytes_of(part))
    return found.hexdigest()[:SHOWN_DIGITS]


def _bytes_of(part: str | BaseModel) -> bytes:
    if isinstance(part, str):
        return part.encode(errors="backslashreplace")
    try:
        return part.model_dump_json().encode()
    except PydanticSerializationError:  # half a surrogate pair, in a field of any type
        return repr(part).encode(errors="backslashreplace")


class AnswerCache(Generic[Answer]):
    """Least recently used answers, within a number of bytes; 0 keeps nothing."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, tuple[Answer, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> Answer | None:
        """The answer of a key, or None; counted as a hit or a miss."""
        found = self._kept.get(key)
        metrics.CACHE.labels("miss" if found is None else "hit").inc()
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: str, answer: Answer, size: int) -> None:
        """Keep an answer of `size` bytes, at the cost of the oldest ones."""
        if size > self._max_bytes or key in self._kept:
            return
        self._kept[key] = (answer, size)
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped
        metrics.CACHE_BYTES.set(self._bytes)
