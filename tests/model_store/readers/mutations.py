"""Random damage to checkpoint files: of bytes, of pickle opcodes, and inside zip containers."""

import pickletools
import random
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

SUFFIXES = (".pkl", ".pt", ".pth")
MAX_OPCODES = 200_000
_OPCODES = bytes(ord(opcode.code) for opcode in pickletools.opcodes)
_GETS = {b"h": "<B", b"j": "<I", b"q": "<B", b"r": "<I"}
_LENGTHS = {b"X": "<I", b"B": "<I", b"T": "<I", b"\x8b": "<I", b"C": "<B", b"U": "<B"}
_EXTREMES = (b"\xff" * 8, b"\0" * 8, b"\x7f" + b"\xff" * 7)


@dataclass(frozen=True)
class SourceFile:
    """A sound or hostile file, and where the opcodes of the pickle in it start."""

    path: Path
    content: bytes
    pickle: bytes  # the file itself, or data.pkl of a zip
    opcodes: tuple[int, ...]


@dataclass(frozen=True)
class Mutant:
    """A damaged file."""

    source: SourceFile
    kind: str
    content: bytes


def source_files(folder: Path) -> list[SourceFile]:
    """Every checkpoint below a folder, in a fixed order."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    return [_source(path) for path in paths if path.stat().st_size]


def mutate(source: SourceFile, others: Sequence[SourceFile], draw: random.Random) -> Mutant:
    """Bytes flipped, cut, repeated or spliced; or, half of the time, opcodes changed."""
    if source.opcodes and draw.random() < 0.5:
        changed = _mutate_opcodes(source, draw)
        if source.pickle is source.content:
            return Mutant(source, "opcodes", changed)
        return Mutant(source, "opcodes in a zip", _repacked(source.content, changed))
    contents = [other.content for other in others]
    return Mutant(source, "bytes", _mutate_bytes(source.content, contents, draw))


def _mutate_bytes(content: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    """A few changes at a time, early bytes favoured."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        if not data:
            break
        span = len(data) if draw.random() < 0.5 else min(len(data), 4096)
        at = draw.randrange(span)
        kind = draw.randrange(6)
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 2:
            del data[at : at + draw.choice((1, 4, 64, len(data)))]
        elif kind == 3:
            data[at:at] = data[at : at + draw.choice((1, 8, 256))]
        elif kind == 4:
            other = draw.choice(others)
            start = draw.randrange(len(other))
            data[at : at + 64] = other[start : start + draw.choice((8, 64, 1024))]
        else:
            data[at : at + 8] = draw.choice(_EXTREMES)
    return bytes(data)


def _mutate_opcodes(source: SourceFile, draw: random.Random) -> bytes:
    """Opcodes replaced, swapped, repeated, dropped; memo indices and lengths changed."""
    data, starts = bytearray(source.pickle), source.opcodes
    # From the end on, so that earlier positions stay what they are.
    chosen = {draw.randrange(len(starts) - 1) for _ in range(draw.choice((1, 1, 2, 8)))}
    for index in sorted(chosen, reverse=True):
        start, end = starts[index], starts[index + 1]
        code, kind = bytes(data[start : start + 1]), draw.randrange(5)
        if kind == 0:
            data[start] = draw.choice(_OPCODES)
        elif kind == 1:
            data[start:end] = b""
        elif kind == 2:
            data[start:start] = data[start:end] * draw.choice((1, 2, 50))
        elif kind == 3:
            other = draw.randrange(len(starts) - 1)
            data[start:end] = source.pickle[starts[other] : starts[other + 1]]
        elif layout := (_GETS | _LENGTHS).get(code):
            top = 256 if layout == "<B" else draw.choice((8, 300, 1 << 16, 1 << 32))
            data[start + 1 : start + 1 + struct.calcsize(layout)] = struct.pack(
                layout, draw.randrange(top)
            )
    return bytes(data)


def _source(path: Path) -> SourceFile:
    content = path.read_bytes()
    inner = content
    if content[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(BytesIO(content)) as archive:
                (name,) = (n for n in archive.namelist() if n.endswith("data.pkl"))
                stored = all(i.file_size == i.compress_size for i in archive.infolist())
                if not stored or archive.testzip() is not None:
                    return SourceFile(path, content, content, ())
                inner = archive.read(name)
        except (zipfile.BadZipFile, ValueError):
            return SourceFile(path, content, content, ())
    return SourceFile(path, content, inner, _opcode_starts(inner))


def _opcode_starts(content: bytes) -> tuple[int, ...]:
    """Positions up to the last opcode that can be made out."""
    starts: list[int] = []
    try:
        for _, _, position in pickletools.genops(content):
            starts.append(position or 0)
            if len(starts) == MAX_OPCODES:
                break
    except Exception:  # whatever pickletools raises for a broken or foreign file
        pass
    return tuple(starts) if len(starts) > 2 else ()


def _repacked(content: bytes, pickled: bytes) -> bytes:
    """The zip with another data.pkl, and right checksums."""
    target = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            is_pickle = info.filename.endswith("data.pkl")
            data = pickled if is_pickle else old.read(info.filename)
            new.writestr(zipfile.ZipInfo(info.filename), data)
    return target.getvalue()
