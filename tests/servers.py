"""Starts and stops the real service as a user would, in its own process group."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

READY_TIMEOUT_S = 120
PORTS = range(12_000, 32_000)  # below those that Linux gives to outgoing connections
_given: set[int] = set()
ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nobody listens on just now and no other call has got.

    Not one that the kernel picks: a connection of another test may take it before a server does.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    for port in random.sample(PORTS[worker::workers], k=len(PORTS) // workers):
        if port not in _given:
            _given.add(port)
            with suppress(OSError), socket.create_server(("127.0.0.1", port)):
                return port
    raise AssertionError(f"no port of {PORTS} is free")


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
    own = own_home(home, log)
    env = {**os.environ, "BENTOML_HOME": str(own), "BENTOML_DO_NOT_TRACK": "True"}
    env |= {"GRADCTRL_GRPC_PORT": "0", **environment}  # servers would share the default port
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=output, stderr=output, start_new_session=True
        )
        try:
            wait_until_ready(process, url, log)
            yield url
        finally:
            with suppress(ProcessLookupError):  # a test may have stopped it
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def own_home(home: Path, log: Path) -> Path:
    """A BentoML home beside the log with the store of another one.

    Pods in one home would wipe each other's metrics.
    """
    own = log.with_suffix(".home")
    own.mkdir()
    for part in ("models", "bentos"):
        (home / part).mkdir(exist_ok=True)
        (own / part).symlink_to(home / part)
    return own


def server_of(url: str) -> psutil.Process:
    """The first process of the service at a URL: what a container would run."""
    port = str(httpx.URL(url).port)
    return next(
        process
        for process in psutil.process_iter(["cmdline"])
        if {"service", port} <= set(process.info["cmdline"] or ())
    )


def wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Return when /readyz says so; an AssertionError with the log otherwise."""
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


def runner_of(url: str, service: str) -> psutil.Process:
    """The process of a runner in the tree of the service at a URL."""
    return next(
        child
        for child in server_of(url).children(recursive=True)
        if service in " ".join(child.cmdline())
    )


def try_service(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`python -m service` with that model store, which does not get as far as serving."""
    env = {**os.environ, "BENTOML_HOME": str(home)}
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def refused_start(home: Path, *arguments: str) -> str:
    """The one line of stderr with which `python -m service` refuses to begin."""
    done = try_service(home, *arguments)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr
