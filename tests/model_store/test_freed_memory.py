"""model_store/freed_memory.py: what is freed is taken again without asking the kernel."""

import platform
import subprocess
import sys

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


def test_another_c_library_keeps_its_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    from model_store import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
