"""model_store/freed_memory.py: what is freed is taken again without asking the kernel."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")

# Page faults of the last ten of thirty times 128 MB, taken and freed in a thread, as a runner does.
SCRIPT = """
import resource, sys, threading, torch
from model_store import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = []
def render():
    for _ in range(30):
        torch.zeros(32_000_000)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
thread = threading.Thread(target=render)
thread.start()
thread.join()
print(faults[-1] - faults[-11])
"""


def page_faults(argument: str) -> int:
    """What the script counts; the heap takes some turns to grow."""
    command = [sys.executable, "-c", SCRIPT, argument]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_kept_memory_costs_no_page_faults() -> None:
    assert page_faults("keep") < 100
    assert page_faults("give back") > 500  # the control: even with huge pages, one per 2 MB


# Heaps of the process after four threads have taken memory.
HEAPS = """
import ctypes, sys, threading
from model_store import share_one_heap
if sys.argv[1] == "one":
    assert share_one_heap()
libc = ctypes.CDLL(None)
gate = threading.Barrier(5)
def take():
    held = [bytes(100_000) for _ in range(10)]
    gate.wait()
threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads:
    thread.start()
gate.wait()
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
file = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
"""


def test_threads_share_a_heap(tmp_path: Path) -> None:
    def heaps(argument: str) -> int:
        file = tmp_path / f"{argument}.xml"
        subprocess.run([sys.executable, "-c", HEAPS, argument, str(file)], check=True)
        return file.read_text().count("<heap nr=")

    assert heaps("one") == 1
    assert heaps("own") > 1  # the control


def test_another_c_library_keeps_its_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    from model_store import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
