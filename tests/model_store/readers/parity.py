"""Every generator of tests/fixtures against the reference outputs of its official code.

Driven by manifest.json and the names of the stored arrays: more fixtures of the same kinds need no
change here. `python -m tests.model_store.readers.parity [FOLDER]` prints the table.
"""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_store import Generator, read_checkpoint

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
TOLERANCE = 1e-4
_MAPPED = re.compile(r"^w_psi(\d+)(?:_cutoff(\d+))?$")
_IMAGE = re.compile(r"^img_(.+)_(const|none)$")
_INPUTS = ("z", "c", "wplus_edit", "user_transform")


@dataclass(frozen=True)
class Comparison:
    """One reference array, or all styles of a file."""

    file: str
    what: str
    error: float  # max |ours - reference| / max |reference|


def manifest(folder: Path = FIXTURES) -> dict[str, Any]:
    """The list of fixtures."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def generator_entries(folder: Path = FIXTURES) -> list[dict[str, Any]]:
    """Entries of the generators."""
    found: list[dict[str, Any]] = manifest(folder)["generators"]
    return found


def reference_arrays(folder: Path, entry: Mapping[str, Any]) -> dict[str, Tensor]:
    """Stored inputs and outputs of the official code, by name."""
    with np.load(folder / entry["reference"]) as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


def compare_fixture(folder: Path, entry: Mapping[str, Any]) -> list[Comparison]:
    """Every reference array of a generator against what the read checkpoint gives."""
    arrays = reference_arrays(folder, entry)
    generator: Any = read_checkpoint(folder / entry["file"])
    found, styles = [], 0.0
    edited = generator.styles(arrays["wplus_edit"])
    for name, expected in arrays.items():
        if name in _INPUTS:
            continue
        if name.startswith("style_"):
            ours = edited[style_name(name.removeprefix("style_"), list(edited))]
            styles = max(styles, relative_error(ours, expected))
            continue
        ours = _output(generator, arrays, name)
        found.append(Comparison(entry["file"], name, relative_error(ours, expected)))
    return [*found, Comparison(entry["file"], "style_*", styles)]


def relative_error(ours: Tensor, expected: Tensor) -> float:
    """Largest difference by the largest expected number; shapes must agree."""
    assert ours.shape == expected.shape, (ours.shape, expected.shape)
    return float((ours - expected).abs().max() / expected.abs().max())


def style_name(official: str, ours: list[str]) -> str:
    """Our name of a layer that the reference calls layer3, convs.0, to_rgbs.1, b8.conv0, ..."""
    if match := re.fullmatch(r"layer(\d+)", official):
        return ours[int(match[1])]
    if match := re.fullmatch(r"convs\.(\d+)", official):
        return f"b{8 * 2 ** (int(match[1]) // 2)}.conv{int(match[1]) % 2}"
    if match := re.fullmatch(r"to_rgbs\.(\d+)", official):
        return f"b{8 * 2 ** int(match[1])}.torgb"
    return {"conv1": "b4.conv1", "to_rgb1": "b4.torgb"}.get(official, official)


def _output(generator: Generator, arrays: Mapping[str, Tensor], name: str) -> Tensor:
    """What we compute for a reference array, from z on where it is not an edited latent."""
    if match := _MAPPED.match(name):
        psi = float(f"{match[1][0]}.{match[1][1:]}")
        cutoff = None if match[2] is None else int(match[2])
        return generator.mapping(arrays["z"], arrays.get("c"), psi, cutoff)
    match = _IMAGE.match(name)
    assert match is not None, f"{name}: a reference of an unknown kind"
    noise_mode: Any = match[2]
    if match[1] == "user_transform":
        moving: Any = generator
        latents = _output(generator, arrays, "w_psi1")
        return moving.synthesis(latents, noise_mode, transform=arrays["user_transform"])
    if match[1] == "wplus_edit":
        return generator.synthesis(arrays["wplus_edit"], noise_mode)
    return generator.synthesis(_output(generator, arrays, f"w_{match[1]}"), noise_mode)


def table(rows: list[Comparison]) -> str:
    """One line per comparison."""
    lines = [f"{row.file:20}{row.what:28}{row.error:9.1e}" for row in rows]
    header = f"{'file':20}{'reference':28}{'max rel. error':>9}"
    return "\n".join([header, *lines])


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else FIXTURES
    every = [row for entry in generator_entries(where) for row in compare_fixture(where, entry)]
    print(table(every))
    worst = max(row.error for row in every)
    print(f"\n{len(every)} comparisons, largest {worst:.1e}, allowed {TOLERANCE:.0e}")
    sys.exit(worst > TOLERANCE)
