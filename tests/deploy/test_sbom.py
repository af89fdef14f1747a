"""deploy/sbom.py: every package of the image, with its licence, in a file of the schema."""

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from deploy.requirements import COMPILED, read_compiled, without_cuda
from deploy.sbom import ROOT_REF, SCHEMA, SbomError, restrict, write_sbom

pytestmark = pytest.mark.slow  # every package's metadata is read, and the schemas


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SBOM of the CPU image."""
    written = tmp_path_factory.mktemp("sbom") / "dist" / "gradctrl.cdx.json"
    write_sbom("cpu", written)
    return written.read_text()


@pytest.fixture
def bom(text: str) -> dict[str, Any]:
    return json.loads(text)


def test_it_is_valid_cyclonedx(text: str) -> None:
    validator = JsonStrictValidator(SCHEMA)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"library"', '"libarry"', 1)) is not None


def test_it_has_the_packages_of_the_image_and_no_others(bom: dict[str, Any]) -> None:
    found = {
        canonicalize_name(one["name"]): one["version"].partition("+")[0]
        for one in bom["components"]
    }
    pinned = without_cuda(read_compiled(COMPILED.read_text()))
    assert found == {one.name: one.version for one in pinned}
    assert bom["metadata"]["component"]["name"] == "gradctrl"


def test_every_package_has_a_licence_and_a_name_in_the_index(bom: dict[str, Any]) -> None:
    for one in bom["components"]:
        assert one["purl"].startswith("pkg:pypi/"), one["name"]
        assert one["licenses"], one["name"]


def test_edges_end_at_packages_that_are_there(bom: dict[str, Any]) -> None:
    refs = {ROOT_REF, *(one["bom-ref"] for one in bom["components"])}
    edges = {edge["ref"]: set(edge["dependsOn"]) for edge in bom["dependencies"]}
    assert set(edges) == refs
    assert set().union(*edges.values()) <= refs
    assert any(ref.startswith("starlette==") for ref in edges[_ref(bom, "fastapi")])


def _ref(bom: dict[str, Any], name: str) -> str:
    return next(one["bom-ref"] for one in bom["components"] if one["name"] == name)


def test_it_names_no_place_of_this_machine(text: str) -> None:
    assert "file:" not in text
    assert str(Path.cwd()) not in text


def test_another_version_is_refused(bom: dict[str, Any]) -> None:
    with pytest.raises(SbomError, match="fastapi"):
        restrict(bom, {"fastapi": "0.1.0"})
    with pytest.raises(SbomError, match="absent"):
        restrict(bom, {"absent": "1.0"})
