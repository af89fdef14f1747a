"""deploy/audit.py: pip-audit itself, against databases of this machine."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.audit import KNOWN_BAD, Database, NoDatabaseError, audit
from deploy.requirements import COMPILED, read_compiled
from tests.doubles import ScriptedServer
from tests.servers import free_port

ADVISORY: dict[str, object] = {
    "vulns": [{"id": "PYSEC-0", "affected": [], "summary": "a bad release"}]
}
NONE: dict[str, object] = {}


@contextmanager
def osv(answers: Sequence[dict[str, object]]) -> Iterator[Database]:
    """A database that gives these answers in turn."""
    script = [
        (200, {"content-type": "application/json"}, json.dumps(one).encode()) for one in answers
    ]
    with ScriptedServer(script) as server:
        yield Database("local", ("-s", "osv", "--osv-url", f"{server.url}/v1/query"))


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """Two lines of the real file, which is what pip-audit has to read."""
    written = tmp_path / "requirements.txt"
    pinned = read_compiled(COMPILED.read_text())
    written.write_text("\n".join(one.text for one in pinned[:2]) + "\n")
    return written


def test_nothing_found_is_success(requirements: Path) -> None:
    with osv([ADVISORY, NONE, NONE]) as database:
        assert audit(requirements, [database]) == 0


def test_a_known_vulnerability_fails(requirements: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with osv([ADVISORY, NONE, ADVISORY]) as database:
        assert audit(requirements, [database]) == 1
    assert "PYSEC-0" in capfd.readouterr().out


def test_a_database_that_knows_nothing_is_passed_over(
    requirements: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with osv([NONE]) as empty, osv([ADVISORY, NONE, NONE]) as full:
        assert audit(requirements, [empty, full]) == 0
    with osv([NONE]) as empty, pytest.raises(NoDatabaseError, match="nothing was audited"):
        audit(requirements, [empty])
    assert KNOWN_BAD not in capfd.readouterr().out


def test_no_database_is_an_error_in_one_line(requirements: Path) -> None:
    away = Database("away", ("-s", "osv", "--osv-url", f"http://127.0.0.1:{free_port()}/"))
    with pytest.raises(NoDatabaseError, match=r"\(away\)$") as caught:
        audit(requirements, [away])
    assert "\n" not in str(caught.value)
