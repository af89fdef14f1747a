"""The sockets of the runners while the service stops. Knows nothing about what is sent.

BentoML's parent process deletes the socket files at SIGTERM, although the runners still listen: a
request that was accepted and needs one more connection would fail. A second link to a socket keeps
it, and can be put back in the old place. A process that is killed cannot take its links along, so
the next one does.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlparse

from service.processes import is_alive

_PREFIX = "gradctrl-sockets-"


class RunnerSockets:
    """Second links to the socket files of runners; runners on other machines have none."""

    def __init__(self, urls: Iterable[str]) -> None:
        self._paths = [path for url in urls if (path := _socket_path(url)) is not None]
        self._links: dict[Path, Path] = {}
        self._put_back: set[Path] = set()
        self._folder: Path | None = None
        if self._paths:
            beside = self._paths[0].parent.parent  # the same file system
            _remove_links_of_the_dead(beside)
            self._folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=beside))
            for number, path in enumerate(self._paths):
                self._links[path] = self._folder / f"{number}.sock"
                os.link(path, self._links[path])

    def restore(self) -> None:
        """Put deleted socket files back."""
        for path, link in self._links.items():
            if path.exists():
                continue
            with suppress(FileExistsError, FileNotFoundError):  # another API worker was faster
                path.parent.mkdir(mode=0o700, exist_ok=True)
                os.link(link, path)
                self._put_back.add(path)

    def remove(self) -> None:
        """Delete the links, and what was put back; a successor of this process uses the rest."""
        for path in self._put_back:
            with suppress(OSError):  # deleted already, or not the folder's last
                path.unlink()
                path.parent.rmdir()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _remove_links_of_the_dead(beside: Path) -> None:
    for folder in beside.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _socket_path(url: str) -> Path | None:
    parts = urlparse(url)
    if parts.scheme not in ("file", "unix"):
        return None
    path = Path(unquote(parts.path))
    return path if path.exists() else None
