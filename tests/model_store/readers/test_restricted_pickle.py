"""model_store/readers/restricted_pickle.py: what loads equals pickle.loads, the rest is refused."""

import pickle
import pickletools
import struct
from contextlib import suppress
from typing import Any

import pytest

from model_store import CheckpointError
from model_store.readers.restricted_pickle import (
    MAX_MARKS,
    MAX_OPERATIONS,
    MAX_TEXT_BYTES,
    Buildable,
    Table,
    load_pickle,
)

SHARED = ["shared"]
PLAIN: list[Any] = [
    None,
    True,
    False,
    *(sign * (1 << bits) + 1 for bits in (0, 7, 8, 15, 16, 31, 63) for sign in (1, -1)),
    *(sign * (1 << bits) - 1 for bits in (0, 7, 8, 15, 16, 31, 63) for sign in (1, -1)),
    0.0,
    -1.5e300,
    float("inf"),
    "",
    "text",
    "ünïcödé \U0001f600 and a\nnew line",
    "\ud800",  # a lone surrogate
    "long " * 100,
    (),
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, (2, (3, (4, 5)))),
    [],
    [1, [2, [3]]],
    list(range(3000)),
    {},
    {"a": 1, 2: "b", None: 3, True: 4, 1.5: 5},
    {str(i): i for i in range(3000)},
    {"nested": {"list": [{"deep": ()}]}},
    [SHARED, SHARED, {"again": SHARED}],
]


class Box(Buildable):
    """A value of a table, as readers have them."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def build(self, state: Any) -> None:
        self.state = state


TABLE: Table = {("box", "Box"): Box, ("builtins", "set"): lambda items: set(items)}


def load(content: bytes, table: Table = TABLE) -> Any:
    return load_pickle(memoryview(content), table)[0]


def refused(content: bytes, message: str, table: Table = TABLE) -> None:
    with pytest.raises(CheckpointError, match=message):
        load(content, table)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", PLAIN, ids=[str(i) for i in range(len(PLAIN))])
def test_plain_values_are_those_of_pickle(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    found, expected = load(content), pickle.loads(content)
    assert found == expected
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_bytes_are_views_into_the_file(protocol: int) -> None:
    for content in (b"", b"short", bytes(range(256)) * 3):
        found = load(pickle.dumps(content, protocol))
        assert isinstance(found, memoryview)
        assert bytes(found) == content
    if protocol >= 5:
        assert bytes(load(pickle.dumps(bytearray(b"array"), protocol))) == b"array"


@pytest.mark.parametrize("protocol", [4, 5])
def test_sets_are_read(protocol: int) -> None:
    assert load(pickle.dumps({1, "a", None}, protocol)) == {1, "a", None}


def test_identity_is_kept() -> None:
    first, second, third = load(pickle.dumps([SHARED, SHARED, {"again": SHARED}], 4))
    assert first is second is third["again"]


def test_strings_of_python_2_are_latin_1() -> None:
    assert load(b"U\x02\xe9A.") == "éA"
    assert load(b"T\x02\x00\x00\x00\xe9A.") == "éA"


def test_the_end_of_the_pickle_is_told() -> None:
    content = pickle.dumps([1, 2], 2)
    assert load_pickle(memoryview(content + b"trailing"), {}) == ([1, 2], len(content))


def test_globals_of_the_table_are_built_and_given_a_state_once() -> None:
    found = load(b"cbox\nBox\n(K\x01K\x02tR}(X\x01\x00\x00\x00aK\x03ub.")
    assert (found.arguments, found.state) == ((1, 2), {"a": 3})
    found = load(b"\x80\x04\x8c\x03box\x8c\x03Box\x93)\x81.")
    assert found.arguments == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cos\nsystem\n(S'x'\ntR.", r"asks for os\.system, which is not allowed"),
        (b"cposix\nsystem\n.", r"asks for posix\.system"),
        (b"c__builtin__\neval\n.", r"asks for __builtin__\.eval"),
        (b"cbox\nBox.build\n.", r"asks for box\.Box\.build"),
        (b"cbox\n__class__\n.", r"asks for box\.__class__"),
        (b"\x8c\x03box\x8c\x0bBox.build.f\x93.", r"asks for box\.Box\.build\.f"),
        (b"\x8c\x03bo.\x8c\x03Box\x93.", r"asks for bo\.\.Box"),
        (b"c" + b"m" * 500 + b"\nx\n.", r"asks for m{80}\.x"),
        (b"K\x01K\x02\x93.", "a global whose name is not a text"),
        (b"\x82\x01.", r"opcode b'\\x82' is not one"),  # EXT1
        (b"\x83\x01\x00.", r"opcode b'\\x83'"),
        (b"\x84\x01\x00\x00\x00.", r"opcode b'\\x84'"),
        (b"(ibox\nBox\n.", "opcode b'i'"),  # INST
        (b"(cbox\nBox\no.", "opcode b'o'"),  # OBJ
        (b"cbox\nBox\n)}\x92.", r"opcode b'\\x92'"),  # NEWOBJ_EX
        (b"Px\n.", "opcode b'P'"),  # a persistent id as a line
        (b"\x97.", r"opcode b'\\x97'"),  # out-of-band buffers
        (b"X\x02\x00\x00\x00os)R.", "a call of a str"),
        (b"])R.", "a call of a list"),
        (b"cbox\nBox\n]R.", "a call of a Global"),  # arguments that are no tuple
        (b"cbox\nBox\n)R)R.", "a call of a Box"),
        (b"cbox\nBox\n}b.", "a state for a Global"),
        (b"]}b.", "a state for a list"),
        (b"X\x01\x00\x00\x00a}b.", "a state for a str"),
        (b"K\x01Q.", "a persistent id outside a torch file"),
        (b"\x80\x06.", "pickle protocol 6"),
    ],
)
def test_nothing_but_the_table_is_resolved(content: bytes, message: str) -> None:
    refused(content, message)


def test_an_empty_table_resolves_nothing() -> None:
    refused(pickle.dumps(complex(1, 2)), "asks for builtins.complex", {})
    refused(pickle.dumps(Box), "asks for tests", {})


@pytest.mark.parametrize(
    "key",
    [
        b")",
        b"]",
        b"}",
        b"cbox\nBox\n",
        b"cbox\nBox\n)R",
        b"C\x01a",
        b"(" * 200 + b"t" * 200,
        b"\x8f",
    ],
)
def test_keys_are_plain(key: bytes) -> None:
    refused(b"}" + key + b"Ns.", "a (tuple|list|dict|Global|Box|memoryview|set) as a key")
    refused(b"(" + key + b"Nd.", "as a key")
    refused(b"}(" + key + b"Nu.", "as a key")
    refused(b"\x8f(" + key + b"\x90.", "as a key")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "broken pickle at byte 0"),
        (b"N", "broken pickle"),  # no STOP
        (b".", "broken pickle"),  # nothing to return
        (b"K.", "broken pickle|announced"),
        (b"(N.N", None),  # an open mark is left behind
        (b"t.", "broken pickle"),
        (b"a.", "broken pickle"),
        (b"Na.", "broken pickle"),
        (b"NNa.", "values appended to a NoneType"),
        (b"N(Ne.", "values appended to a NoneType"),
        (b"](NNu.", "items set on a list"),
        (b"N(NNu.", "items set on a NoneType"),
        (b"}(Nu.", "a key without a value"),
        (b"(Nd.", "a key without a value"),
        (b"](N\x90.", "values added to a list"),
        (b"\x85.", "a tuple of more values"),
        (b"N\x87.", "a tuple of more values"),
        (b"h\x00.", "broken pickle.*KeyError"),
        (b"g1\n.", "broken pickle.*KeyError"),
        (b"j\xff\xff\xff\xff.", "broken pickle.*KeyError"),
        (b"q\x00.", "broken pickle"),
        (b"\x94.", "broken pickle"),
        (b"pone\n.", "malformed pickle"),
        (b"Ione\n.", "malformed pickle"),
        (b"Fone\n.", "malformed pickle"),
        (b"X\x01\x00\x00\x00\xff.", "UnicodeDecodeError"),
        (b"V" + b"a" * 5000, "no end of line within 4096 bytes"),
        (b"cbox", "no end of line"),
        (b"L" + b"9" * 40 + b"L\n.", "an integer of 40 digits"),
        (b"\x8a\xff" + b"\x01" * 255 + b".", "an integer of 255 bytes"),
        (b"\x8b\xff\xff\xff\x7f.", "an integer of 2147483647 bytes"),
        (b"\x8b\xff\xff\xff\xff.", "an integer of 4294967295 bytes"),
        (b"B\xff\xff\xff\xff.", "4294967295 bytes are announced, 1 are left"),
        (b"\x8e" + b"\xff" * 8 + b".", "18446744073709551615 bytes are announced"),
        (b"\x96" + b"\x7f" * 8 + b".", "bytes are announced, 1 are left"),
        (b"\x8d" + b"\x7f" * 8 + b".", "a text of"),
        (b"X" + struct.pack("<I", MAX_TEXT_BYTES) + b".", "bytes are announced"),
        (b"X" + struct.pack("<I", MAX_TEXT_BYTES + 1) + b".", "a text of"),
        (b"T\xff\xff\xff\xff.", "a text of 4294967295 bytes"),
        (b"(" * (MAX_MARKS + 1), f"more than {MAX_MARKS} nested containers"),
    ],
)
def test_broken_and_oversized_pickles_are_refused(content: bytes, message: str | None) -> None:
    if message is None:
        load(content)
    else:
        refused(content, message)


def test_operations_are_counted() -> None:
    refused(b"N0" * (MAX_OPERATIONS // 2) + b"N.", f"more than {MAX_OPERATIONS} operations")


def test_doubling_by_the_memo_stays_small() -> None:
    # Each list holds the one before twice: 2**1000 leaves, 1000 lists.
    content = b"]q\x00" + b"](h\x00h\x00eq\x00" * 1000 + b"."
    assert len(load(content)) == 2


def test_a_list_in_itself_is_only_a_reference() -> None:
    found = load(b"]q\x00h\x00a.")
    assert found[0] is found


def test_every_opcode_alone_is_a_typed_error_or_a_value() -> None:
    for opcode in pickletools.opcodes:
        for before in (b"", b"N", b"]N", b"((", b"cbox\nBox\n)"):
            for after in (b"", b".", b"\xff" * 9 + b".", b"1\n.", b"1\n2\n."):
                with suppress(CheckpointError):
                    load(before + opcode.code.encode("latin1") + after)
