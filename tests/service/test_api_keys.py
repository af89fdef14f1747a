"""service/api_keys.py: the file of keys, and the command that makes one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.api_keys import ApiKeys, KeyFileError, hash_of, read_keys
from service.errors import ApiError
from tests.servers import ROOT


def line(name: str, key: str) -> str:
    return f"{name} {hash_of(key).hex()}\n"


def bearer(key: str) -> dict[str, str | bytes]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "keys.txt"
    found.write_text(f"# of the team\n\n{line('web', 'one')}{line('batch', 'two')}")
    return found


def test_a_key_has_a_name(file: Path) -> None:
    keys = ApiKeys(file)
    assert keys.key_of(bearer("one")).name == "web"
    assert keys.key_of({"authorization": "bearer two"}).name == "batch"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Basic one"},
        {"authorization": b"Bearer one"},
        {"authorization": "Bearer three"},
        {"authorization": "Bearer one "},
        {"authorization": "Bearer \udcff\ud800"},
        {"authorization": "Bearer " + "x" * 100_000},
        {"authorization": f"Bearer {hash_of('one').hex()}"},  # the file is no use to a thief
    ],
)
def test_anything_else_is_refused(file: Path, headers: dict[str, str | bytes]) -> None:
    with pytest.raises(ApiError) as caught:
        ApiKeys(file).key_of(headers)
    assert (caught.value.code, caught.value.status) == ("unauthenticated", 401)
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"
    assert "one" not in caught.value.message


def test_some_keys_are_of_admins(file: Path) -> None:
    file.write_text(f"{line('web', 'one')}{line('ops', 'two').strip()} admin\n")
    keys = ApiKeys(file)
    assert not keys.key_of(bearer("one")).is_admin
    assert keys.key_of(bearer("two")).is_admin


def test_a_changed_file_is_read_again(file: Path) -> None:
    keys = ApiKeys(file)
    fresh = file.with_name("fresh.txt")
    fresh.write_text(line("web", "new"))
    os.replace(fresh, file)
    assert keys.key_of(bearer("new")).name == "web"
    with pytest.raises(ApiError):
        keys.key_of(bearer("one"))


@pytest.mark.parametrize("content", [None, "", "web secret\n", b"\xff\xfe"])
def test_a_broken_file_keeps_the_keys_before(
    file: Path, content: str | bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ApiKeys(file)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert keys.key_of(bearer("one")).name == "web"
    assert "stay as they were" in caplog.text
    caplog.clear()
    keys.key_of(bearer("one"))
    assert caplog.text == ""  # once is enough


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no keys"),
        (f"{line('web', 'one').strip()} root\n", "line 1: expected NAME and the SHA-256"),
        ("web one\n", "line 1: expected NAME and the SHA-256"),
        (line("web", "one") * 2, "line 2: the same name twice"),
        (f"we b {hash_of('one').hex()}", "line 1"),
    ],
)
def test_refusals_name_the_line(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(content)
    with pytest.raises(KeyFileError, match=says):
        read_keys(file)


def test_the_command_makes_a_line_and_shows_the_key_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service.api_keys", "web"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    file = tmp_path / "keys.txt"
    file.write_text(made.stdout)
    key = made.stderr.strip().rpartition(" ")[2]
    assert ApiKeys(file).key_of(bearer(key)).name == "web"
    assert key not in made.stdout
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert again.stdout != made.stdout
    for arguments in ([], ["web", "root"]):
        wrong = [*command[:-1], *arguments]
        refused = subprocess.run(wrong, cwd=ROOT, capture_output=True, text=True)
        assert refused.returncode == 1
        assert "usage" in refused.stderr
    admin = subprocess.run(
        [*command, "admin"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    file.write_text(admin.stdout)
    assert ApiKeys(file).key_of(bearer(admin.stderr.strip().rpartition(" ")[2])).is_admin
