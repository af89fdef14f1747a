"""Log lines: text or JSON, each with the request's id and its trace. Knows no message.

Lines are written by a thread of their own, so that a slow reader of standard output holds up no
request; what does not fit its queue is dropped. A message may quote what a client sent, or what was
computed from it: numbers in a row and long encoded texts are left out, and the rest is cut.
"""

import atexit
import json
import logging
import logging.handlers
import queue
import re
import sys
import time
import traceback
from contextlib import suppress
from typing import Any, Literal

import bentoml
from opentelemetry import trace

from service.request_ids import current_request_id

ACCESS = "gradctrl.access"
MAX_WAITING = 10_000
MAX_MESSAGE = 500
MAX_ERROR = 200
FIELDS = "fields"  # of a record: what `extra` carries beside the message
_NUMBERS = re.compile(r"(?:[-+]?\d+\.?\d*(?:e[-+]?\d+)?[\s,\[\]()]+){3,}[-+]?\d[\d.e+-]*")
_ENCODED = re.compile(r"[A-Za-z0-9+/=_-]{80,}")  # base64; hashes and ids are shorter
_OURS = ("", "bentoml", "gradctrl", "uvicorn.error", "circus")
_LEVELS = {"bentoml": logging.INFO, "gradctrl": logging.INFO}


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return json.dumps(_line(record), default=str)


class TextFormatter(logging.Formatter):
    """The same for people: time, level, component, message, then what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; an error follows on lines of its own."""
        line = _line(record)
        error = line.pop("error", None)
        head = [line.pop(name) for name in ("time", "level", "component", "message")]
        line.pop("logger")
        rest = " ".join(f"{name}={value}" for name, value in line.items() if value is not None)
        text = f"{head[0]} [{head[1]}] [{head[2]}] {head[3]}" + (f" ({rest})" if rest else "")
        if error:
            text += "\n" + "\n".join([*error["frames"], f"{error['type']}: {error['message']}"])
        return text


class _Queued(logging.handlers.QueueHandler):
    """Formats where the line was logged, for its request's id, and leaves the writing."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self.queue.put_nowait(record)


def configure_logging(log_format: Literal["text", "json"]) -> None:
    """Have all loggers of this process write in one format, from a thread, to standard output."""
    waiting: queue.Queue[Any] = queue.Queue(MAX_WAITING)
    handler = _Queued(waiting)
    formatter = JsonFormatter if log_format == "json" else TextFormatter
    handler.setFormatter(formatter())
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.handlers = [handler] if not name else []
        logger.propagate = True
        logger.setLevel(_LEVELS.get(name, logging.WARNING))
    writer = logging.StreamHandler(sys.stdout)
    listener = logging.handlers.QueueListener(waiting, writer)
    listener.start()
    atexit.register(listener.stop)


def _line(record: logging.LogRecord) -> dict[str, Any]:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    line: dict[str, Any] = {
        "time": f"{seconds}.{int(record.msecs):03d}Z",
        "level": record.levelname,
        "component": bentoml.server_context.service_name or "server",
        "logger": record.name,
        "message": _cut(record.getMessage(), MAX_MESSAGE),
        "request_id": current_request_id(),
        "trace_id": _trace_id(),
        **getattr(record, FIELDS, {}),
    }
    if record.exc_info and record.exc_info[1]:
        line["error"] = _error(record.exc_info[1])
    return line


def _error(error: BaseException) -> dict[str, Any]:
    """Type, cut message and where it came from, without any value of a variable."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "type": type(error).__name__,
        "message": _cut(str(error), MAX_ERROR),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None


def _cut(text: str, length: int) -> str:
    """The text without data, and not longer than that."""
    text = _ENCODED.sub("...", _NUMBERS.sub("...", text))
    return text if len(text) <= length else f"{text[:length]}... ({len(text)} characters)"
