"""TEMPORARY: deleted at the end."""

import shutil
import tarfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def face_api_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("npm")
    with tarfile.open("/tmp/w/vladmandic-face-api-1.7.15.tgz") as tar:
        tar.extractall(into, filter="data")
    return into / "package"


@pytest.fixture(scope="session")
def node() -> Path:
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node")
    return Path(found)
