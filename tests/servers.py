"""Starts and stops the real service as a user would, in its own process group."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

READY_TIMEOUT_S = 120
ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running_server(home: Path, log: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """The URL of `python -m service` on the store `home`, ready; stopped on leaving."""
    port = free_port()
    command = [sys.executable, "-m", "service", "--port", str(port), *arguments]
    with running(command, f"http://127.0.0.1:{port}", home, log, environment) as url:
        yield url


@contextmanager
def running(
    command: Sequence[str],
    url: str,
    home: Path,
    log: Path,
    environment: dict[str, str],
    folder: Path = ROOT,
) -> Iterator[str]:
    """Any serving command, waited for at /readyz."""
    own = log.with_suffix(".home")  # a second server in one home wipes the metrics of the first
    own.mkdir()
    for part in ("models", "bentos"):
        (home / part).mkdir(exist_ok=True)
        (own / part).symlink_to(home / part)
    env = {**os.environ, "BENTOML_HOME": str(own), "BENTOML_DO_NOT_TRACK": "True"}
    env |= {"GRADCTRL_GRPC_PORT": "0", **environment}  # servers would share the default port
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait_until_ready(process, url, log)
            yield url
        finally:
            with suppress(ProcessLookupError):  # a test may have stopped it
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the service ended: {log.read_text()[-2000:]}")
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not ready within {READY_TIMEOUT_S} s: {log.read_text()[-2000:]}")
