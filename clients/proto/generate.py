"""Writes the Python code of edit.proto: one copy for the service, one for the client package.

Both copies are generated from the same file name, so that one process can import both. Knows
nothing about what the messages mean.
"""

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

PROTO_ROOT = Path(__file__).resolve().parent
PROTO = "gradctrl/v1/edit.proto"
UNCHECKED = "# ruff: noqa\n# fmt: off\n# mypy: ignore-errors\n"  # generated, as it comes
PACKAGES = {  # package that imports the copy -> its folder in the repository
    "service.wire": "service/wire",
    "gradctrl_client.wire": "clients/python/gradctrl_client/wire",
}


def generate(root: Path) -> list[Path]:
    """The files written below `root`, in the folders of PACKAGES."""
    return [path for package in PACKAGES for path in _generate(package, root / PACKAGES[package])]


def _generate(package: str, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    bundled = str(resources.files("grpc_tools") / "_proto")
    arguments = [f"-I{PROTO_ROOT}", f"-I{bundled}"]
    arguments += [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", *arguments, PROTO]) != 0:
        raise SystemExit(f"error: protoc refused {PROTO}")
    return [_settle(path, package, folder) for path in sorted(folder.glob("gradctrl/v1/*"))]


def _settle(path: Path, package: str, folder: Path) -> Path:
    """Move a file out of the proto's folders and let it import its copy by its package."""
    text = path.read_text().replace("from gradctrl.v1 import", f"from {package} import")
    settled = folder / path.name
    settled.write_text(UNCHECKED + text)
    path.unlink()
    for empty in (path.parent, path.parent.parent):
        if not any(empty.iterdir()):
            empty.rmdir()
    return settled


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO_ROOT.parent.parent
    for written in generate(target):
        print(written)
