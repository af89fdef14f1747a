"""A pickle machine that builds inert values: nothing is imported, nothing of the file is called.

Python's own Unpickler can be held to an allow-list, but it allocates what a length field claims and
hashes keys of any depth, which a hostile file turns into a crash. This one reads from a memory map,
checks each length against the bytes that are left, takes only plain keys, counts its operations,
and knows a global only as a row of the caller's table: (module, name) -> a function of ours that
looks at the arguments. Large byte strings stay views into the file. Opcodes: CPython's pickletools.
"""

import codecs
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from model_store.errors import CheckpointError

MAX_OPERATIONS = 2_000_000
MAX_MARKS = 256  # nested open containers
MAX_INTEGER_BYTES = 16
MAX_LINE_BYTES = 4096  # of the text opcodes
MAX_TEXT_BYTES = 1 << 24
MAX_CALLS = 30_000  # of builders; a large training snapshot needs a tenth
MAX_REPEATS = 4  # how often calls may be given all that the file holds

Builder = Callable[..., Any]
Table = Mapping[tuple[str, str], Builder]


class Buildable:
    """A value of ours that the file may give a state to, once."""

    def build(self, state: Any) -> None:
        """Take the state of a BUILD; CheckpointError if it does not fit."""
        raise NotImplementedError


@dataclass(frozen=True)
class Global:
    """A name of the table that the file has asked for."""

    name: str
    builder: Builder


def load_pickle(
    data: memoryview,
    table: Table,
    on_persistent_id: Callable[[Any], Any] | None = None,
    max_operations: int = MAX_OPERATIONS,
) -> tuple[Any, int]:
    """The value of the first pickle in `data`, and where it ends; CheckpointError otherwise."""
    machine = _Machine(data, table, on_persistent_id)
    try:
        return machine.run(max_operations), machine.position
    except (struct.error, IndexError, KeyError, UnicodeDecodeError, OverflowError) as error:
        raise CheckpointError(
            f"broken pickle at byte {machine.position}: {type(error).__name__}"
        ) from error
    except (TypeError, ValueError) as error:  # an argument list that no builder of ours takes
        raise CheckpointError(f"malformed pickle at byte {machine.position}: {error}") from error


class _Machine:
    def __init__(
        self, data: memoryview, table: Table, on_persistent_id: Callable[[Any], Any] | None
    ) -> None:
        self.position = 0
        self._data = data
        self._table = table
        self._on_persistent_id = on_persistent_id
        self._calls = 0
        self._budget = MAX_REPEATS * len(data)
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self, max_operations: int) -> Any:
        data, handlers = self._data, _HANDLERS
        for _ in range(max_operations):
            opcode = data[self.position]
            self.position += 1
            if opcode == _STOP:
                return self._stack.pop()
            handler = handlers.get(opcode)
            if handler is None:
                self._refuse(f"opcode {bytes([opcode])!r} is not one that a checkpoint needs")
            handler(self)
        self._refuse(f"more than {max_operations} operations")

    def _refuse(self, reason: str) -> NoReturn:
        raise CheckpointError(f"refused at byte {self.position}: {reason}")

    # reading

    def _take(self, count: int) -> memoryview:
        end = self.position + count
        if end > len(self._data):
            left = len(self._data) - self.position
            self._refuse(f"{count} bytes are announced, {left} are left (truncated or forged)")
        view = self._data[self.position : end]
        self.position = end
        return view

    def _number(self, layout: str) -> int:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        return self._line_bytes().decode()

    def _line_bytes(self) -> bytes:
        window = bytes(self._data[self.position : self.position + MAX_LINE_BYTES])
        length = window.find(b"\n")
        if length < 0:
            self._refuse(f"no end of line within {MAX_LINE_BYTES} bytes")
        self.position += length + 1
        return window[:length]

    def _text(self, count: int, encoding: str = "utf-8") -> None:
        if count > MAX_TEXT_BYTES:
            self._refuse(f"a text of {count} bytes")
        errors = "surrogatepass" if encoding == "utf-8" else "strict"
        self._stack.append(str(self._take(count), encoding, errors))

    # stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        if len(self._marks) >= MAX_MARKS:
            self._refuse(f"more than {MAX_MARKS} nested containers")
        self._marks.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            self._refuse("a tuple of more values than there are")
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(items)

    def _key(self, key: Any) -> Any:
        if not isinstance(key, str | int | float | bool | None):
            self._refuse(f"a {type(key).__name__} as a key")
        return key

    def _add_items(self, target: Any, items: list[Any]) -> None:
        if not isinstance(target, dict):
            self._refuse(f"items set on a {type(target).__name__}")
        if len(items) % 2:
            self._refuse("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self._key(key)] = value

    def _dict(self) -> None:
        items = self._pop_mark()
        self._stack.append({})
        self._add_items(self._stack[-1], items)

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._add_items(self._stack[-1], [key, value])

    def _set_items(self) -> None:
        items = self._pop_mark()
        self._add_items(self._stack[-1], items)

    def _append(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            self._refuse(f"values appended to a {type(self._stack[-1]).__name__}")
        self._stack[-1].extend(items)

    def _add_to_set(self) -> None:
        items = self._pop_mark()
        if not isinstance(self._stack[-1], set):
            self._refuse(f"values added to a {type(self._stack[-1]).__name__}")
        self._stack[-1].update(self._key(item) for item in items)

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    # globals and objects

    def _global(self, module: str, name: str) -> None:
        builder = self._table.get((module, name))
        if builder is None:
            self._refuse(f"the file asks for {module[:80]}.{name[:80]}, which is not allowed")
        self._stack.append(Global(f"{module}.{name}", builder))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            self._refuse("a global whose name is not a text")
        self._global(module, name)

    def _build_from_global(self) -> None:
        arguments, target = self._stack.pop(), self._stack.pop()
        if not isinstance(target, Global) or not isinstance(arguments, tuple):
            self._refuse(f"a call of a {type(target).__name__}")
        self._calls += 1
        if self._calls > MAX_CALLS:
            self._refuse(f"more than {MAX_CALLS} calls")
        self._charge(arguments)
        self._stack.append(target.builder(*arguments))

    def _give_state(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, dict):
            return  # attributes of a dict, such as a state dict's _metadata, are not needed
        if not isinstance(target, Buildable):
            self._refuse(f"a state for a {type(target).__name__}")
        self._charge(state)
        target.build(state)

    def _charge(self, values: Any) -> None:
        """Count what a builder is about to read: through the memo, a file can ask for it again."""
        if isinstance(values, tuple):
            self._budget -= sum(len(v) for v in values if isinstance(v, _SIZED))
        if self._budget < 0:
            self._refuse(f"calls are given more than {MAX_REPEATS} times what the file holds")

    def _persistent(self) -> None:
        if self._on_persistent_id is None:
            self._refuse("a persistent id outside a torch file")
        self._stack.append(self._on_persistent_id(self._stack.pop()))

    def _integer(self, count: int) -> None:
        if count > MAX_INTEGER_BYTES:
            self._refuse(f"an integer of {count} bytes")
        self._stack.append(int.from_bytes(self._take(count), "little", signed=True))

    def _text_integer(self) -> None:
        line = self._line().removesuffix("L")
        if len(line) > 2 * MAX_INTEGER_BYTES:
            self._refuse(f"an integer of {len(line)} digits")
        self._stack.append({"00": False, "01": True}.get(line, int(line)))

    def _protocol(self) -> None:
        version = self._number("<B")
        if version > 5:
            self._refuse(f"pickle protocol {version}")


_STOP = ord(".")
_SIZED = (str, bytes, memoryview, list, tuple, dict, set)


def _two_lines(machine: _Machine) -> None:
    module, name = machine._line(), machine._line()
    machine._global(module, name)


_HANDLERS: dict[int, Callable[[_Machine], Any]] = {
    ord(code): handler
    for code, handler in {
        "\x80": lambda m: m._protocol(),
        "\x95": lambda m: m._take(8),  # frame: only a hint for buffered readers
        "(": lambda m: m._mark(),
        "0": lambda m: m._pop(),
        "1": lambda m: m._pop_mark(),
        "2": lambda m: m._push(m._stack[-1]),
        "N": lambda m: m._push(None),
        "\x88": lambda m: m._push(True),
        "\x89": lambda m: m._push(False),
        "I": lambda m: m._text_integer(),
        "L": lambda m: m._text_integer(),
        "K": lambda m: m._push(m._number("<B")),
        "M": lambda m: m._push(m._number("<H")),
        "J": lambda m: m._push(m._number("<i")),
        "\x8a": lambda m: m._integer(m._number("<B")),
        "\x8b": lambda m: m._integer(m._number("<I")),
        "F": lambda m: m._push(float(m._line())),
        "G": lambda m: m._push(m._number(">d")),
        "V": lambda m: m._push(codecs.raw_unicode_escape_decode(m._line_bytes())[0]),
        "\x8c": lambda m: m._text(m._number("<B")),
        "X": lambda m: m._text(m._number("<I")),
        "\x8d": lambda m: m._text(m._number("<Q")),
        "U": lambda m: m._text(m._number("<B"), "latin1"),  # strings of Python 2
        "T": lambda m: m._text(m._number("<I"), "latin1"),
        "C": lambda m: m._push(m._take(m._number("<B"))),
        "B": lambda m: m._push(m._take(m._number("<I"))),
        "\x8e": lambda m: m._push(m._take(m._number("<Q"))),
        "\x96": lambda m: m._push(m._take(m._number("<Q"))),
        ")": lambda m: m._push(()),
        "t": lambda m: m._push(tuple(m._pop_mark())),
        "\x85": lambda m: m._tuple(1),
        "\x86": lambda m: m._tuple(2),
        "\x87": lambda m: m._tuple(3),
        "]": lambda m: m._push([]),
        "l": lambda m: m._push(m._pop_mark()),
        "a": lambda m: m._append([m._stack.pop()]),
        "e": lambda m: m._append(m._pop_mark()),
        "}": lambda m: m._push({}),
        "d": lambda m: m._dict(),
        "s": lambda m: m._set_item(),
        "u": lambda m: m._set_items(),
        "\x8f": lambda m: m._push(set()),
        "\x90": lambda m: m._add_to_set(),
        "p": lambda m: m._put(int(m._line())),
        "q": lambda m: m._put(m._number("<B")),
        "r": lambda m: m._put(m._number("<I")),
        "\x94": lambda m: m._put(len(m._memo)),
        "g": lambda m: m._get(int(m._line())),
        "h": lambda m: m._get(m._number("<B")),
        "j": lambda m: m._get(m._number("<I")),
        "c": _two_lines,
        "\x93": lambda m: m._stack_global(),
        "R": lambda m: m._build_from_global(),
        "\x81": lambda m: m._build_from_global(),
        "b": lambda m: m._give_state(),
        "Q": lambda m: m._persistent(),
    }.items()
}
