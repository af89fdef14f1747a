"""Small files that make a reader do the same work again and again: refused before it adds up."""

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model_store.readers.test_hostile import MAX_MEGABYTES, MAX_SECONDS, run

CALLS = 2000  # of one function with one large argument


def raw(value: object) -> bytes:
    """Opcodes that push a value, without memo."""
    return pickle.dumps(value, 2)[2:-1]


def text(length: int) -> bytes:
    return b"X" + struct.pack("<I", length) + b"\0" * length


def calls(function: bytes, argument: bytes, extra: bytes = b"", count: int = CALLS) -> bytes:
    """A list of the results of calling a global with the same large argument."""
    keep = argument + b"q\xff0"
    return b"\x80\x02" + keep + b"](" + (function + b"(h\xff" + extra + b"tR") * count + b"e."


def nested_storage(idle_operations: int) -> bytes:
    """The stream of one storage, as NVIDIA's pickles nest it, that pushes and pops first."""
    idle = b"N0" * (idle_operations // 2)
    storage = b"(" + raw("storage") + b"ctorch\nFloatStorage\n" + raw("0") + raw("cpu") + raw(4)
    parts = [raw(0x1950A86A20F9469CFC6C), raw(1001), raw({}), storage + b"NtQ", raw(["0"])]
    return b"".join(idle + part + b"." for part in parts) + struct.pack("<q4f", 4, 1, 2, 3, 4)


def nested(idle_operations: int, count: int) -> bytes:
    stream = nested_storage(idle_operations)
    argument = b"B" + struct.pack("<I", len(stream)) + stream
    return calls(b"ctorch.storage\n_load_from_bytes\n", argument, count=count)


def ints(count: int) -> bytes:
    return b"](" + b"K\x01" * count + b"e"


def array_state(length: int) -> bytes:
    dtype = b"cnumpy\ndtype\n(" + raw("u1") + b"K\x00K\x01tR"
    dtype += b"(K\x03" + raw("|") + b"NNN" + raw(-1) + raw(-1) + b"K\x00tb"
    return b"(K\x01(J" + struct.pack("<i", length) + b"t" + dtype + b"\x89" + text(length) + b"t"


def arrays() -> bytes:
    make = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btRh\xffb"
    return b"\x80\x02" + array_state(1 << 20) + b"q\xff0](" + make * CALLS + b"e."


FILES: dict[str, Callable[[], bytes]] = {
    "encode.pkl": lambda: calls(b"c_codecs\nencode\n", text(1 << 20), raw("latin1")),
    "set.pkl": lambda: calls(b"c__builtin__\nset\n", ints(200_000)),
    "size.pkl": lambda: calls(b"ctorch\nSize\n", ints(200_000)),
    "dict.pkl": lambda: calls(
        b"ccollections\nOrderedDict\n", b"](" + b"K\x01K\x02\x86" * 100_000 + b"e"
    ),
    "nested.pkl": lambda: nested(20_000, CALLS),
    "many nested.pkl": lambda: nested(0, 300_000),
    "arrays.pkl": arrays,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_repeated_work_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name]())
    (one,) = run("read", [path], tmp_path)
    print(f"\n{name}: {path.stat().st_size / 1e6:.1f} MB, {one}"[:300])
    assert one["exit"] == 0
    assert one["outcome"].startswith(f"refused: {name}: ")
    assert one["seconds"] < MAX_SECONDS
    assert one["megabytes"] < MAX_MEGABYTES
