"""A checkpoint whose unpickling runs a command, given to the reader behind `gradctrl import`."""

import os
import pickle
import tempfile
from pathlib import Path

import httpx

from attacks.broken import BrokenError, expect
from model_store import CheckpointError, read_checkpoint


class _Command:
    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self._command,)


def attack(client: httpx.Client) -> str:
    """Write the file and have it read; the service is not asked."""
    with tempfile.TemporaryDirectory() as folder:
        trace, file = Path(folder) / "trace", Path(folder) / "model.pkl"
        file.write_bytes(pickle.dumps({"G_ema": _Command(f"touch {trace}")}))
        try:
            read_checkpoint(file)
        except CheckpointError as error:
            expect(not trace.exists(), "the command ran")
            return f"refused: {error}"
    raise BrokenError("the file was read")
