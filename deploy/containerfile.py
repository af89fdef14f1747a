"""Writes the folder that a container image is built from: a Bento, its models and a Containerfile.

`bentoml containerize` makes the same folder from the same template and gives it to Docker; here it
is kept, so that any builder can take it, for CPUs or for GPUs.

    bentoml build
    python -m deploy.containerfile gradctrl:latest --variant cpu -o build/cpu
    docker build -t registry.example.com/gradctrl:0.1.0-cpu build/cpu
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import bentoml
from bentoml._internal.container import construct_containerfile

from deploy.requirements import Pinned, read_compiled, without_cuda

Variant = Literal["cpu", "gpu"]
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
REQUIREMENTS = "env/python/requirements.txt"
INSTALL = "\n# install python packages\n"  # of the template
BEFORE = "\nUSER bentoml\n"  # at its end
ONLY_WHEELS = "ENV UV_NO_BUILD=1\n"  # nobody's setup.py runs
ALL_HASHED = "ENV UV_REQUIRE_HASHES=1\n"
# PyTorch's index has old copies of other packages, and uv stops at the first index that has a name;
# what may come from either is decided by the hashes.
BOTH_INDEXES = "ENV UV_INDEX_STRATEGY=unsafe-best-match\n"
GPU_LINES = (
    "\n# so that NVML answers, beside CUDA\nENV NVIDIA_DRIVER_CAPABILITIES=compute,utility\n"
)


def write_context(
    tag: str, variant: Variant, folder: Path, torch_sha256: str | None = None
) -> Path:
    """The Containerfile in the new folder; the GPU's torch is the one of PyPI, with CUDA in it."""
    with construct_containerfile(bentoml.bentos.get(tag), enable_buildkit=False) as (made, file):
        shutil.copytree(made, folder)
        text = Path(file).read_text()
    written = folder / "Containerfile"
    (folder / "env" / "docker" / "Dockerfile").unlink()
    requirements = folder / REQUIREMENTS
    pinned = hashed(requirements.read_text())
    options = ONLY_WHEELS
    if variant == "cpu":
        requirements.write_text(for_cpu(pinned, torch_sha256))
        options += BOTH_INDEXES
    else:
        requirements.write_text("".join(f"{one.text}\n" for one in pinned))
        text = _before(BEFORE, GPU_LINES, text)
    if variant == "gpu" or torch_sha256 is not None:
        options += ALL_HASHED
    written.write_text(_before(INSTALL, f"\n{options}", text))
    return written


def hashed(requirements: str) -> list[Pinned]:
    """The lines of deploy/requirements.txt, without bentoml's own that `bentoml build` adds."""
    return [one for one in read_compiled(requirements) if one.hashes]


def for_cpu(pinned: Sequence[Pinned], torch_sha256: str | None = None) -> str:
    """The requirements with the torch that has no CUDA, a tenth of the size.

    PyTorch's own index serves that wheel. Nobody here has compared its hash with what that index
    says, so none is written unless the builder gives it.
    """
    lines = [f"--extra-index-url {CPU_WHEELS}"]
    for one in without_cuda(pinned):
        if one.name == "torch":
            checked = "" if torch_sha256 is None else f" --hash=sha256:{torch_sha256}"
            lines.append(f"torch=={one.version}+cpu{checked}")
        else:
            lines.append(one.text)
    return "\n".join(lines) + "\n"


def _before(place: str, lines: str, text: str) -> str:
    assert text.count(place) == 1, "the template of BentoML has changed"
    return text.replace(place, f"{lines}{place}")


def main() -> None:
    """Write the folder and say how to go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tag", help="of the Bento, as `bentoml list` shows it")
    parser.add_argument("--variant", choices=get_args(Variant), default="cpu")
    parser.add_argument("--torch-sha256", help="of the CPU's torch wheel, as you trust it")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder to be made")
    options = parser.parse_args()
    written = write_context(options.tag, options.variant, options.output, options.torch_sha256)
    print(f"docker build -f {written} {options.output}")


if __name__ == "__main__":
    main()
