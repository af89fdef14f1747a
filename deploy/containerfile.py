"""Writes the folder that a container image is built from: a Bento, its models and a Containerfile.

`bentoml containerize` makes the same folder from the same template and gives it to Docker; here it
is kept, so that any builder can take it, for CPUs or for GPUs.

    bentoml build
    python -m deploy.containerfile gradctrl:latest --variant cpu -o build/cpu
    docker build -t registry.example.com/gradctrl:0.1.0-cpu build/cpu
"""

import argparse
import shutil
from pathlib import Path
from typing import Literal, get_args

import bentoml
from bentoml._internal.container import construct_containerfile

Variant = Literal["cpu", "gpu"]
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
REQUIREMENTS = "env/python/requirements.txt"
BEFORE = "\nUSER bentoml\n"  # of the template, at its end
GPU_LINES = (
    "\n# so that NVML answers, beside CUDA\nENV NVIDIA_DRIVER_CAPABILITIES=compute,utility\n"
)


def write_context(tag: str, variant: Variant, folder: Path) -> Path:
    """The Containerfile in the new folder; the GPU's torch is the one of PyPI, with CUDA in it."""
    with construct_containerfile(bentoml.bentos.get(tag), enable_buildkit=False) as (made, file):
        shutil.copytree(made, folder)
        text = Path(file).read_text()
    written = folder / "Containerfile"
    (folder / "env" / "docker" / "Dockerfile").unlink()
    requirements = folder / REQUIREMENTS
    if variant == "cpu":
        requirements.write_text(for_cpu(requirements.read_text()))
    else:
        assert text.count(BEFORE) == 1, "the template of BentoML has changed"
        text = text.replace(BEFORE, f"{GPU_LINES}{BEFORE}")
    written.write_text(text)
    return written


def for_cpu(requirements: str) -> str:
    """The requirements with the torch that has no CUDA, a tenth of the size."""
    lines = requirements.splitlines()
    pinned = [line for line in lines if line.startswith("torch==")]
    assert len(pinned) == 1, "torch is pinned once"
    lines[lines.index(pinned[0])] = f"{pinned[0]}+cpu"
    return "\n".join([f"--extra-index-url {CPU_WHEELS}", *lines]) + "\n"


def main() -> None:
    """Write the folder and say how to go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tag", help="of the Bento, as `bentoml list` shows it")
    parser.add_argument("--variant", choices=get_args(Variant), default="cpu")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder to be made")
    options = parser.parse_args()
    written = write_context(options.tag, options.variant, options.output)
    print(f"docker build -f {written} {options.output}")


if __name__ == "__main__":
    main()
