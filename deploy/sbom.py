"""What a CPU or GPU image holds, with licences, as CycloneDX JSON. Knows nothing about containers.

`cyclonedx-py` reads the packages of the environment that this runs in; what requirements.txt does
not name (tools for tests) is left out, and a package that is missing or of another version is an
error. CUDA's packages are in the GPU's environment alone.

    python -m deploy.sbom --variant cpu -o dist/gradctrl.cdx.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from deploy.requirements import COMPILED, PROJECT, read_compiled, without_cuda

ROOT_REF = "root-component"  # as cyclonedx-py names the project
SCHEMA = SchemaVersion.V1_6
# Declared in words that cyclonedx-py leaves out; both packages ship the text of the licence.
CONCLUDED = {"protobuf": "BSD-3-Clause", "simple-di": "Apache-2.0"}


class SbomError(Exception):
    """The environment is not what the requirements say."""


def expected_versions(variant: str) -> dict[str, str]:
    """Canonical name to version, of the image's packages."""
    pinned = read_compiled(COMPILED.read_text())
    return {one.name: one.version for one in (without_cuda(pinned) if variant == "cpu" else pinned)}


def read_environment(python: str) -> dict[str, Any]:
    """The SBOM of everything that an interpreter can import."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "all.json"
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
        command += ["--pyproject", str(PROJECT), "--spec-version", SCHEMA.to_version()]
        subprocess.run([*command, "--output-file", str(written), python], check=True)
        return json.loads(written.read_text())


def restrict(bom: dict[str, Any], versions: dict[str, str]) -> dict[str, Any]:
    """The SBOM of these packages alone; raises SbomError where one is missing or another."""
    kept = [one for one in bom["components"] if canonicalize_name(one["name"]) in versions]
    found: dict[str, str] = {
        canonicalize_name(one["name"]): one["version"].partition("+")[0] for one in kept
    }
    wrong = sorted(name for name in versions if found.get(name) != versions[name])
    if wrong:
        raise SbomError(f"not installed here as requirements.txt has it: {', '.join(wrong)}")
    for one in kept:
        name = canonicalize_name(one["name"])
        if not one.get("licenses") and name in CONCLUDED:
            licence = {"id": CONCLUDED[name], "acknowledgement": "concluded"}
            one["licenses"] = [{"license": licence}]
    return {**bom, "components": kept, "dependencies": _edges(bom["dependencies"], kept)}


def _edges(edges: list[dict[str, Any]], kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    refs = {ROOT_REF, *(one["bom-ref"] for one in kept)}
    return [
        {**edge, "dependsOn": [ref for ref in edge.get("dependsOn", []) if ref in refs]}
        for edge in edges
        if edge["ref"] in refs
    ]


def write_sbom(variant: str, output: Path) -> None:
    """Write the SBOM of this environment; raises SbomError, also where the schema refuses it."""
    bom = restrict(read_environment(sys.executable), expected_versions(variant))
    text = json.dumps(bom, indent=2, sort_keys=True) + "\n"
    if (error := JsonStrictValidator(SCHEMA).validate_str(text)) is not None:
        raise SbomError(f"not CycloneDX {SCHEMA.to_version()}: {error}")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        write_sbom(options.variant, options.output)
    except SbomError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
