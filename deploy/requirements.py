"""Pins and hashes of everything that the service image installs: deploy/requirements.txt.

Names come from deploy/requirements.in, their versions from pyproject.toml, what they need in turn
and all hashes from PyPI. A version that is in the file already stays until pyproject.toml or
`--upgrade` changes it.

    python -m deploy.requirements --upgrade
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parent
NAMES = FOLDER / "requirements.in"
COMPILED = FOLDER / "requirements.txt"
PROJECT = FOLDER.parent / "pyproject.toml"
INDEX = "https://pypi.org/simple"
PYTHON = "3.11"
PLATFORM = "x86_64-unknown-linux-gnu"
LINE = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?P<hashes>(?: *\\?\n? *--hash=\S+)*)", re.M
)
CUDA = re.compile(r"(nvidia-(?!ml-py)|cuda-|triton$)")  # what PyPI's torch brings and the CPU's not


@dataclass(frozen=True)
class Pinned:
    """One line of a compiled file."""

    name: str  # canonical
    version: str
    hashes: frozenset[str]  # "sha256:..." of every file of the release
    text: str  # as it stands in the file


def read_compiled(text: str) -> list[Pinned]:
    """The lines of a compiled file, in its order."""
    return [
        Pinned(
            canonicalize_name(found["name"]),
            found["version"],
            frozenset(re.findall(r"--hash=(\S+)", found["hashes"])),
            found[0],
        )
        for found in LINE.finditer(text)
    ]


def without_cuda(pinned: Iterable[Pinned]) -> list[Pinned]:
    """What is installed beside a torch for CPUs."""
    return [one for one in pinned if not CUDA.match(one.name)]


def direct_names() -> list[str]:
    """The canonical names of requirements.in."""
    lines = NAMES.read_text().splitlines()
    return [canonicalize_name(line) for line in lines if line and not line.startswith("#")]


def project_pins() -> dict[str, str]:
    """Canonical name to `name==version`, of what the service may import on this platform."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["c2pa"]]
    wanted = [Requirement(line) for line in lines]
    here = {"sys_platform": "linux", "platform_machine": "x86_64"}
    return {
        canonicalize_name(one.name): f"{one.name}{one.specifier}"
        for one in wanted
        if one.marker is None or one.marker.evaluate(here)
    }


def compile_requirements(output: Path, *options: str) -> None:
    """Write the file; the versions that it holds stay where they may."""
    pins = project_pins()
    command = [sys.executable, "-m", "uv", "--no-config", "--quiet", "--system-certs"]
    command += ["pip", "compile", "-"]
    command += ["--python-version", PYTHON, "--python-platform", PLATFORM]
    command += ["--default-index", INDEX, "--generate-hashes", "--no-annotate"]
    command += ["--only-binary", ":all:"]  # an image that builds nothing runs no setup.py
    command += ["--custom-compile-command", "make requirements", *options]
    subprocess.run(
        [*command, "--output-file", str(output)],
        input="\n".join(pins[name] for name in direct_names()),
        env={name: value for name, value in os.environ.items() if not name.startswith("UV_")},
        stdout=subprocess.DEVNULL,  # uv prints the file too
        text=True,
        check=True,
    )


def main() -> None:
    """Write deploy/requirements.txt."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take what is newest")
    options = parser.parse_args()
    compile_requirements(COMPILED, *(["--upgrade"] if options.upgrade else []))


if __name__ == "__main__":
    main()
