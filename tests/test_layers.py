"""The layer drawing of ARCHITECTURE.md, held by parsing imports."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT: dict[str, set[str]] = {
    "editing": set(),
    "model_store": {"editing"},
    "export": {"editing", "model_store"},
    "service": {"editing", "model_store"},
    "clients": set(),
}
NOT_WRITTEN = {"generated", "node_modules"}
EDITING_LIBRARIES = {"torch"}  # beside the standard library
OURS = {*MAY_IMPORT, "tests", "benchmarks", "deploy", "gradctrl_client"}


def imported_packages(path: Path) -> set[str]:
    """Top-level names that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            assert all(alias.name != "*" for alias in node.names), f"{path}: no import *"
            found.add(node.module.partition(".")[0])
    return found


def sources(package: str) -> list[Path]:
    """Python files of a package that people write; generated ones belong to their tools."""
    written = set((ROOT / package).rglob("*.py"))
    return sorted(path for path in written if not NOT_WRITTEN & set(path.parts))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_down(package: str) -> None:
    assert sources(package)
    allowed = MAY_IMPORT[package] | {package}
    if package == "clients":
        allowed.add("gradctrl_client")
    for path in sources(package):
        wrong = (imported_packages(path) & OURS) - allowed
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_editing_needs_torch_alone() -> None:
    for path in sources("editing"):
        foreign = imported_packages(path) - set(sys.stdlib_module_names) - {"editing"}
        assert foreign <= EDITING_LIBRARIES, f"{path.relative_to(ROOT)} imports {foreign}"


def test_clients_need_no_torch() -> None:
    for path in sources("clients"):
        assert not imported_packages(path) & {"torch", "bentoml"}, path
