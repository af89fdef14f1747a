"""service/runner_sockets.py: socket files that BentoML deletes, and those that it does not."""

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


def test_runners_of_other_machines_have_no_files(tmp_path: Path) -> None:
    sockets = RunnerSockets(["http://generator:3000", f"file://{tmp_path}/gone.sock"])
    sockets.restore()
    sockets.remove()
    assert list(tmp_path.iterdir()) == []
