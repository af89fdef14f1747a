"""torch.save containers: the zip of torch >= 1.6 and the stream before it, read without torch.load.

torch's weights-only loader allocates what a stream claims before it reads; here every storage is
checked against the bytes of the file first, and read when its tensor is asked for. Knows nothing
about networks.
"""

import re
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from model_store.errors import CheckpointError
from model_store.readers.pickle_tables import STATE_DICTS, TORCH, StorageType
from model_store.readers.raw_values import Bytes, Storage
from model_store.readers.restricted_pickle import (
    MAX_OPERATIONS,
    Global,
    Table,
    load_pickle,
)

ZIP_START = b"PK\x03\x04"
STREAM_MAGIC = 0x1950A86A20F9469CFC6C
# Protocol, a frame from 4 on, that number, end.
STREAM_START = re.compile(
    rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL
)
STREAM_PROTOCOL = 1001
MAX_ENTRIES = 100_000
MAX_NESTED_OPERATIONS = 64  # of a pickle in the stream of a single storage


def read_torch(data: memoryview, table: Table = STATE_DICTS) -> Any:
    """What torch.save was given, with RawTensor leaves; CheckpointError otherwise."""
    if bytes(data[:4]) == ZIP_START:
        return _read_zip(data, table)
    return _read_stream(data, table)


def is_torch(data: memoryview) -> bool:
    """Whether the file begins as a torch.save container does."""
    return bytes(data[:4]) == ZIP_START or STREAM_START.match(data) is not None


def load_storage(content: Any) -> Storage:
    """torch.storage._load_from_bytes: the stream of a single storage, as NVIDIA's pickles nest."""
    if not isinstance(content, memoryview | bytes):
        raise CheckpointError("a nested storage that is not bytes")
    found = _read_stream(memoryview(content), TORCH, MAX_NESTED_OPERATIONS)
    if not isinstance(found, Storage):
        raise CheckpointError("a nested stream that is not a storage")
    return found


def _read_zip(data: memoryview, table: Table) -> Any:
    try:
        archive = zipfile.ZipFile(_Window(data))
    except Exception as error:  # zipfile raises many kinds for broken archives
        raise CheckpointError(f"not a sound zip file: {error}") from error
    entries = _checked_entries(archive, len(data))
    roots = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
    if len(roots) != 1:
        raise CheckpointError(f"a zip with {len(roots)} data.pkl is not a torch file")
    folder = roots[0].removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in entries and _read_entry(archive, order) != b"little":
        raise CheckpointError("a torch file of a big-endian machine")

    def read_record(key: str, numel: int, itemsize: int) -> Callable[[], Bytes]:
        name, size = f"{folder}data/{key}", numel * itemsize
        if entries.get(name) != size:
            raise CheckpointError(f"storage {key}: {size} bytes claimed, {entries.get(name)} found")
        return lambda: _read_entry(archive, name)

    pickled = memoryview(_read_entry(archive, roots[0]))
    value, _ = load_pickle(pickled, table, lambda claim: _storage(claim, read_record))
    return value


def _checked_entries(archive: zipfile.ZipFile, file_size: int) -> dict[str, int]:
    """Sizes by name; CheckpointError for anything compressed, encrypted, doubled or oversized."""
    entries: dict[str, int] = {}
    if len(archive.infolist()) > MAX_ENTRIES:
        raise CheckpointError(f"a zip of more than {MAX_ENTRIES} entries")
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise CheckpointError(
                f"{info.filename}: compressed ({info.compress_size} to {info.file_size} bytes); "
                "torch never compresses"
            )
        if info.filename in entries:
            raise CheckpointError(f"{info.filename}: twice in the zip")
        entries[info.filename] = info.file_size
    if sum(entries.values()) > file_size:
        raise CheckpointError("zip entries claim more bytes than the file has")
    return entries


def _read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)  # checks the CRC
    except Exception as error:  # zipfile raises many kinds for broken archives
        raise CheckpointError(f"{name}: {error}") from error


def _read_stream(data: memoryview, table: Table, max_operations: int = MAX_OPERATIONS) -> Any:
    """magic, protocol, system facts, the object, its storage keys, then the storages."""
    magic, position = load_pickle(data, {}, max_operations=max_operations)
    if magic != STREAM_MAGIC:
        raise CheckpointError("not a torch file: neither a zip nor a stream")
    version, used = load_pickle(data[position:], {}, max_operations=max_operations)
    position += used
    if version != STREAM_PROTOCOL:
        raise CheckpointError("a torch stream of an unknown protocol")
    _, used = load_pickle(data[position:], {}, max_operations=max_operations)
    position += used
    places: dict[str, memoryview] = {}
    sizes: dict[str, tuple[int, int]] = {}

    def read_later(key: str, numel: int, itemsize: int) -> Callable[[], Bytes]:
        sizes[key] = numel, itemsize
        return lambda: places[key]

    value, used = load_pickle(
        data[position:], table, lambda claim: _storage(claim, read_later), max_operations
    )
    position += used
    keys, used = load_pickle(data[position:], {}, max_operations=max_operations)
    places.update(_stream_places(data[position + used :], keys, sizes))
    return value


def _stream_places(
    data: memoryview, keys: Sequence[Any], sizes: dict[str, tuple[int, int]]
) -> dict[str, memoryview]:
    """Where the bytes of every storage lie: each is preceded by its number of elements."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError("a torch stream without storage keys")
    if set(keys) != sizes.keys() or len(set(keys)) != len(keys):
        raise CheckpointError("storage keys of a torch stream that do not fit its tensors")
    places, position = {}, 0
    for key in keys:
        numel, itemsize = sizes[key]
        start, size = position + 8, numel * itemsize
        end = start + size
        if end > len(data):
            raise CheckpointError(
                f"storage {key}: {size} bytes claimed, {max(0, len(data) - start)} are left"
            )
        found = int.from_bytes(data[position:start], "little")
        if found != numel:
            raise CheckpointError(f"storage {key}: {numel} numbers claimed, {found} found")
        places[key] = data[start:end]
        position = end
    return places


def _storage(claim: Any, reader: Callable[[str, int, int], Callable[[], Bytes]]) -> Storage:
    """("storage", its class, key, device, number of elements[, view])."""
    if not isinstance(claim, tuple) or len(claim) not in (5, 6) or claim[0] != "storage":
        raise CheckpointError("a persistent id that is not a storage")
    kind, key, numel = claim[1], claim[2], claim[4]
    if not isinstance(kind, Global) or not isinstance(kind.builder, StorageType):
        raise CheckpointError("a storage of an unknown class")
    if not isinstance(key, str) or type(numel) is not int or numel < 0:
        raise CheckpointError("a storage without key and size")
    if len(claim) == 6 and claim[5] is not None:
        raise CheckpointError("a storage that is a view of another")
    dtype = kind.builder.dtype
    return Storage(dtype, numel, reader(key, numel, dtype.itemsize))


class _Window(BytesIO):
    """A seekable file over a memory map, without a copy."""

    def __init__(self, data: memoryview) -> None:
        super().__init__()
        self._view = data
        self._at = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, len(self._view))[whence]
        if base + offset < 0:
            raise OSError("seek before the start")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = len(self._view) if size is None or size < 0 else self._at + size
        found = bytes(self._view[self._at : end])
        self._at += len(found)
        return found

    def seekable(self) -> bool:
        return True
