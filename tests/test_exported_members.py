"""Every package has one door: an __all__ that exists; ruff keeps it sorted."""

import ast
import importlib
from pathlib import Path

import pytest

PACKAGES = (
    "editing",
    "editing.baselines",
    "model_store",
    "export",
    "export.baselines",
    "export.evaluation",
    "service",
    "service.playground",
    "gradctrl_client",
)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_door_offers_what_it_promises(name: str) -> None:
    package = importlib.import_module(name)
    missing = [member for member in package.__all__ if not hasattr(package, member)]
    assert not missing


@pytest.mark.parametrize("name", PACKAGES)
def test_the_door_defines_nothing(name: str) -> None:
    package = importlib.import_module(name)
    source = ast.parse(Path(str(package.__file__)).read_text())
    kinds = (ast.Expr, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    assert all(isinstance(node, kinds) for node in source.body)
