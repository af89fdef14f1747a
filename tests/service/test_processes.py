"""service/processes.py: what threads of a runner keep."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from service.processes import in_passing_thread

# Threads of the process after two torch threads have multiplied in a thread of their own: before,
# in there, and once it has ended; or in the main thread, whose team stays.
SCRIPT = """
import os, sys, time, torch
from service.processes import in_passing_thread, take_one_torch_thread
take_one_torch_thread()
def count():
    return len(os.listdir("/proc/self/task"))
def work():
    (torch.ones(512, 512) + 1).sum()
    torch.ones(1_000_000).exp()
    return count()
before = count()
if sys.argv[1] == "main":
    torch.set_num_threads(2)
    inside = work()
else:
    inside = in_passing_thread(work, 2)
time.sleep(0.2)
print(before, inside, count())
"""


def test_a_passing_thread_has_its_own_number_of_torch_threads_and_gives_back_what_it_found() -> (
    None
):
    before = torch.get_num_threads()
    assert in_passing_thread(torch.get_num_threads, before + 1) == before + 1
    with pytest.raises(ZeroDivisionError):
        in_passing_thread(lambda: 1 // 0, 1)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_no_team_of_a_passing_thread_stays() -> None:
    def threads(where: str) -> list[int]:
        command = [sys.executable, "-c", SCRIPT, where]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [int(number) for number in found.split()]

    before, inside, after = threads("passing")
    assert inside >= before + 2  # itself and its team
    assert after == before
    before, inside, after = threads("main")
    assert inside == after > before  # the control
