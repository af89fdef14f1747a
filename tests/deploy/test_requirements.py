"""deploy/requirements.txt: complete, as pyproject.toml has it, and what the index says."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.requirements import (
    COMPILED,
    CUDA,
    compile_requirements,
    direct_names,
    project_pins,
    read_compiled,
    without_cuda,
)

PINNED = read_compiled(COMPILED.read_text())


def closure(names: set[str]) -> set[str]:
    """What packages need, and what that needs, by the metadata of the installed ones."""
    found: set[tuple[str, str]] = set()
    waiting = [(name, "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                other = canonicalize_name(needed.name)
                waiting += [(other, one) for one in ("", *needed.extras)]
    return {name for name, _ in found}


def test_every_line_has_a_version_and_hashes() -> None:
    lines = COMPILED.read_text().splitlines()
    requirements = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(requirements) == len(PINNED) == len({one.name for one in PINNED})
    for one in PINNED:
        assert one.hashes, one.name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in one.hashes)


def test_direct_packages_have_the_versions_of_the_project() -> None:
    pins = {one.name: one.version for one in PINNED}
    project = {name: line.partition("==")[2] for name, line in project_pins().items()}
    direct = set(direct_names())
    assert direct
    assert direct <= set(pins)
    assert direct <= set(project)
    assert {name: pins[name] for name in pins.keys() & project} == {
        name: project[name] for name in pins.keys() & project
    }


def test_nothing_is_missing_and_nothing_is_too_much() -> None:
    """But for CUDA, which is not there where the torch of these tests is that of CPUs."""
    needed = {name for name in closure(set(direct_names())) if not CUDA.match(name)}
    assert {one.name for one in without_cuda(PINNED)} == needed


def test_it_names_no_place_but_the_packages() -> None:
    text = COMPILED.read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@pytest.mark.slow
def test_the_index_has_these_files(tmp_path: Path) -> None:
    """Compiled again the versions stay, and no hash is one that the index does not list."""
    again = tmp_path / "requirements.txt"
    shutil.copy(COMPILED, again)
    compile_requirements(again)
    listed = {one.name: one for one in read_compiled(again.read_text())}
    assert {one.name: one.version for one in PINNED} == {
        name: one.version for name, one in listed.items()
    }
    for one in PINNED:
        assert one.hashes <= listed[one.name].hashes, one.name  # a release may get more wheels


@pytest.mark.slow
def test_pip_finds_every_file_with_its_hash(tmp_path: Path) -> None:
    """All but torch and CUDA, some 3 GB that pip would load to compare them."""
    some = [one.text for one in without_cuda(PINNED) if one.name != "torch"]
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("\n".join(some) + "\n")
    assert pip_finds(requirements).returncode == 0
    first = next(one for one in PINNED if one.name == "a2wsgi")
    requirements.write_text(re.sub(r"sha256:.", "sha256:_", first.text).replace("_", "0"))
    done = pip_finds(requirements)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def pip_finds(requirements: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--dry-run", "--no-deps"]
    command += ["--ignore-installed", "--only-binary", ":all:", "--quiet", "--progress-bar", "off"]
    return subprocess.run(
        [*command, "--requirement", str(requirements)],
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
