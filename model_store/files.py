"""Files as bytes: hashes, memory maps, tensors written. Knows nothing about what is in them."""

import hashlib
import mmap
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from model_store.errors import CheckpointError, ModelStoreError

MAX_FILE_BYTES = 1 << 33


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def map_file(path: Path) -> memoryview:
    """A file's bytes as a memory map, so that what is not needed is never read."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if not 0 < size <= MAX_FILE_BYTES:
                raise CheckpointError(f"a file of {size} bytes; expected 1 .. {MAX_FILE_BYTES}")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise CheckpointError(error.strerror or str(error)) from error


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write tensors as safetensors; ModelStoreError where there is no room for them."""
    try:
        save_file({name: one.contiguous() for name, one in tensors.items()}, path, metadata)
    except SafetensorError as error:
        raise ModelStoreError(f"{path}: cannot be written: {error}") from error
