"""Runs readers on files in processes of their own that watch for code being run.

Not a test: what test_hostile.py and test_fuzz.py start. An audit hook reports what a file must
never cause: a shell, a process, an import, a compilation, another file opened for writing.
"""

import encodings.cp437  # noqa: F401 (zipfile loads it for odd file names)
import json
import os
import pickle
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from model_store import ModelStoreError, read_checkpoint, read_gradctrl_classifiers
from tests.model_store.readers.mutations import Mutant, mutate, source_files

HANG_S = 20  # a child that takes longer is killed and shows as such; the tests ask for less
WATCHED = (
    "compile",
    "ctypes.dlopen",
    "exec",
    "marshal.loads",
    "os.chmod",
    "os.exec",
    "os.fork",
    "os.mkdir",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.symlink",
    "os.system",
    "pickle.find_class",
    "socket.connect",
    "subprocess.Popen",
)
_MODULES = ("os", "posix", "subprocess", "shutil", "importlib", "torch_utils", "dnnlib")


def watch(seen: list[str]) -> None:
    """Record every watched event from now on."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and arguments[1].strip("rb")
        imports = event == "import" and str(arguments[0]).partition(".")[0] in _MODULES
        if event in WATCHED or imports or writes:
            seen.append(f"{event} {arguments[:1]}")

    sys.addaudithook(hook)


def read_once(path: Path, load: Callable[[Path], Any] = read_checkpoint) -> dict[str, Any]:
    """Outcome, seconds and peak memory growth of one file, with everything it tried to run."""
    seen: list[str] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    watch(seen)
    started = time.perf_counter()
    try:
        outcome = f"loaded a {type(load(path)).__name__}"
    except ModelStoreError as error:
        outcome = f"refused: {error}"
    seconds = time.perf_counter() - started
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"outcome": outcome, "seconds": seconds, "megabytes": peak, "ran": list(seen)}


def unpickle(path: Path) -> str:
    """What a careless reader does, to show that the hook and the hostile files are live."""
    with path.open("rb") as file:
        return type(pickle.load(file)).__name__


def import_large(path: Path) -> str:
    """What `gradctrl import` does, into the store of BENTOML_HOME; the tag."""
    from export.importing import import_checkpoint

    return import_checkpoint(path, "large").tag


def in_child(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of `work` in a forked process, with how that ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(HANG_S)
        os.write(writing, json.dumps(work()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        answer = answers.read()
    _, status = os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(answer or b"{}")
    return {**found, "exit": os.waitstatus_to_exitcode(status)}


def fuzz(folder: Path, seed: int, count: int, scratch: Path) -> dict[str, Any]:
    """Mutate files of a folder and read each; counts, the slowest, and what was run."""
    sources = source_files(folder)
    draw = random.Random(seed)
    seen: list[str] = []
    counts = {"loaded": 0, "refused": 0}
    untyped: list[str] = []
    slowest, slowest_of = 0.0, ""
    for index in range(count):
        mutant = mutate(draw.choice(sources), sources, draw)
        load = _placed(mutant, scratch)
        if index == 0:
            watch(seen)
        allowed = len(seen)
        started = time.perf_counter()
        try:
            load()
            counts["loaded"] += 1
        except ModelStoreError:
            counts["refused"] += 1
        except Exception as error:
            untyped.append(f"{index} ({mutant.source.path.name}, {mutant.kind}): {error!r}")
        seconds = time.perf_counter() - started
        if seconds > slowest:
            slowest, slowest_of = seconds, f"{mutant.source.path.name}, {mutant.kind}"
        seen[allowed:] = [event for event in seen[allowed:] if str(scratch) not in event]
    ran = [event for event in seen if str(scratch) not in event]
    return {
        **counts,
        "slowest": slowest,
        "slowest_of": slowest_of,
        "untyped": untyped[:10],
        "ran": ran[:10],
    }


def _placed(mutant: Mutant, scratch: Path) -> Callable[[], Any]:
    """The mutant written where its reader looks for it, and that reader."""
    source = mutant.source
    if source.path.name in ("model.pth", "model_params.pkl"):
        for name in ("model.pth", "model_params.pkl"):
            (scratch / name).write_bytes(source.path.with_name(name).read_bytes())
        (scratch / source.path.name).write_bytes(mutant.content)
        return lambda: read_gradctrl_classifiers(scratch)
    target = scratch / "mutated"
    target.write_bytes(mutant.content)
    return lambda: read_checkpoint(target)


def _main(command: str, arguments: Sequence[str]) -> Any:
    if command == "fuzz":
        where, seed, count, scratch = arguments
        return fuzz(Path(where), int(seed), int(count), Path(scratch))
    loads: dict[str, Callable[[Path], Any]] = {
        "read": read_checkpoint,
        "unpickle": unpickle,
        "import": import_large,
    }
    return [in_child(partial(read_once, Path(path), loads[command])) for path in arguments]


if __name__ == "__main__":
    print(json.dumps(_main(sys.argv[1], sys.argv[2:])))
    sys.stdout.flush()
    os._exit(0)  # a crash on the way out would be torch's, not the reader's
