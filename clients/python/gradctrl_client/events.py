"""Server-sent events: lines in, names and data out. Knows nothing about edits."""

from __future__ import annotations

import json
from typing import Any

Event = tuple[str, dict[str, Any]]


class EventReader:
    """Puts lines together to events; feed it every line of one stream."""

    def __init__(self) -> None:
        self._name = "message"
        self._data: list[str] = []

    def feed(self, line: str) -> Event | None:
        """The event that ends with this line, if one does."""
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                self._name = value
            elif field == "data":
                self._data.append(value)
            return None
        name, data = self._name, self._data
        self._name, self._data = "message", []
        return (name, json.loads("\n".join(data))) if data else None
