"""Gets files out of published packages, by name, version and pinned sha256.

Uses pip and npm as the machine has them configured, installs nothing and runs nothing of the
package. Knows nothing about what the files mean.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.errors import FetchError
from model_store import sha256_of

_TIMEOUT_S = 600


@dataclass(frozen=True)
class Package:
    """One version of a published package."""

    name: str
    version: str
    sha256: str  # of the archive
    licence: str

    @property
    def label(self) -> str:
        """Name and version, for messages and provenance."""
        return f"{self.name} {self.version}"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder for a download."""
    with tempfile.TemporaryDirectory(prefix="gradctrl-fetch-") as folder:
        yield Path(folder)


def download_wheel(package: Package, into: Path) -> Path:
    """The wheel of a PyPI package, without its dependencies."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(into)]
    _run([*command, f"{package.name}=={package.version}"], package)
    return _checked(_only_archive(into, "*.whl", package), package)


def download_npm(package: Package, into: Path) -> Path:
    """The unpacked folder of an npm package, without its dependencies."""
    npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if npm is None:
        raise FetchError(
            f"{package.label}: npm is needed to get this package; "
            "install Node.js, or run: pip install 'gradctrl[labelers]'"
        )
    command = [npm, "pack", "--silent", "--pack-destination", str(into)]
    _run([*command, f"{package.name}@{package.version}"], package)
    archive = _checked(_only_archive(into, "*.tgz", package), package)
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    return into / "package"


def read_wheel_file(wheel: Path, member: str, into: Path) -> Path:
    """One file of a wheel, written into a folder under its own name."""
    target = into / Path(member).name
    try:
        with zipfile.ZipFile(wheel) as archive:
            target.write_bytes(archive.read(member))
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{wheel.name}: cannot read {member}: {error}") from error
    return target


def _run(command: list[str], package: Package) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{package.label}: no answer within {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise FetchError(f"{package.label}: download failed: {lines[-1]}")


def _only_archive(folder: Path, pattern: str, package: Package) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FetchError(f"{package.label}: expected one archive, got {[p.name for p in found]}")
    return found[0]


def _checked(archive: Path, package: Package) -> Path:
    if (found := sha256_of(archive)) != package.sha256:
        raise FetchError(
            f"{package.label}: {archive.name} has sha256 {found}, expected {package.sha256}; "
            "the download is broken or the package was changed"
        )
    return archive
