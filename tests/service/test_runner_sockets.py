"""service/runner_sockets.py: socket files that BentoML deletes, and those that it does not."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from service.runner_sockets import RunnerSockets


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A runner's socket file, in a folder of BentoML's."""
    found = tmp_path / "bentoml-uds" / "0.sock"
    found.parent.mkdir()
    found.touch()
    return found


def test_what_was_put_back_is_deleted_at_the_end(path: Path) -> None:
    sockets = RunnerSockets([f"file://{path}"])
    path.unlink()
    path.parent.rmdir()
    sockets.restore()
    assert path.exists()
    sockets.remove()
    assert list(path.parent.parent.iterdir()) == []


def test_what_nobody_deleted_stays_for_the_successor(path: Path) -> None:
    sockets = RunnerSockets([f"file://{path}"])
    sockets.restore()
    sockets.remove()
    assert list(path.parent.parent.iterdir()) == [path.parent]
    assert path.exists()


def test_of_two_workers_the_first_puts_back_and_the_second_goes_on(path: Path) -> None:
    first, second = (RunnerSockets([f"file://{path}"]) for _ in range(2))
    path.unlink()
    path.parent.rmdir()
    first.restore()
    second.restore()
    first.remove()
    second.restore()  # as it does until it ends itself
    assert path.exists()
    second.remove()
    assert list(path.parent.parent.iterdir()) == []


def link_and_die(path: Path) -> None:
    RunnerSockets([f"file://{path}"])
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_left_goes_with_the_next_start(path: Path) -> None:
    killed = multiprocessing.get_context("spawn").Process(target=link_and_die, args=(path,))
    killed.start()
    killed.join()
    alive = RunnerSockets([f"file://{path}"])
    successor = RunnerSockets([f"file://{path}"])
    assert len(list(path.parent.parent.glob("gradctrl-sockets-*"))) == 2
    alive.remove()
    successor.remove()
    assert list(path.parent.parent.iterdir()) == [path.parent]


def test_runners_of_other_machines_have_no_files(tmp_path: Path) -> None:
    sockets = RunnerSockets(["http://generator:3000", f"file://{tmp_path}/gone.sock"])
    sockets.restore()
    sockets.remove()
    assert list(tmp_path.iterdir()) == []
