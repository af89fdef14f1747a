"""Asks for known vulnerabilities in deploy/requirements.txt: `make audit`.

pip-audit says that nothing was found also where the index has no advisories at all, as a mirror.
So each database must first know an old release with advisories; one that does not is passed over.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.requirements import COMPILED

KNOWN_BAD = "jinja2==3.1.2"  # CVE-2024-22195 and later ones
CONNECT_S = 15


@dataclass(frozen=True)
class Database:
    """Where advisories come from."""

    name: str
    options: tuple[str, ...]  # of pip-audit


DATABASES = (
    Database("OSV", ("--vulnerability-service", "osv")),
    Database("PyPI", ("--vulnerability-service", "pypi")),
)


class NoDatabaseError(Exception):
    """Nothing was audited."""


def audit(requirements: Path, databases: Sequence[Database] = DATABASES) -> int:
    """pip-audit's exit code, 0 or 1, by the first database that knows anything."""
    for database in databases:
        if knows_advisories(database):
            print(f"asking {database.name}", file=sys.stderr)
            return _pip_audit(requirements, database, capture=False).returncode
    names = ", ".join(database.name for database in databases)
    raise NoDatabaseError(f"nothing was audited: no vulnerability database answers ({names})")


def knows_advisories(database: Database) -> bool:
    """Whether it can be reached and reports the release that is known to be bad."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "known_bad.txt"
        requirements.write_text(f"{KNOWN_BAD}\n")
        done = _pip_audit(requirements, database, capture=True)
    return done.returncode == 1 and KNOWN_BAD.partition("==")[0] in done.stdout


def _pip_audit(
    requirements: Path, database: Database, *, capture: bool
) -> subprocess.CompletedProcess[str]:
    """Strict: a package that the database does not have is a failure, not a pass."""
    command = [sys.executable, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip"]
    command += ["--progress-spinner", "off", "--timeout", str(CONNECT_S), *database.options]
    command += ["--requirement", str(requirements)]
    return subprocess.run(command, capture_output=capture, text=True, check=False)


def main() -> None:
    """Audit what the image installs."""
    try:
        raise SystemExit(audit(COMPILED))
    except NoDatabaseError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
