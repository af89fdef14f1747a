"""Edits every latent (.npz of `gradctrl generate`) and every image of a folder.

    python clients/examples/batch.py INPUT OUTPUT --attribute smile --target smiling

What has its output already is left alone, so a stopped run goes on where it was. One file that is
refused does not stop the others; then the exit status is 1. Images need a model with inversion.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
from gradctrl_client import AsyncClient, GradCtrlError

IMAGES = (".png", ".jpg", ".jpeg", ".webp")


def source(path: Path) -> dict[str, Any]:
    """What an edit of this file starts from."""
    if path.suffix in IMAGES:
        return {"image": path.read_bytes()}
    with np.load(path) as arrays:
        return {"latent": arrays["latent"], "space": str(arrays["space"])}


async def edit_file(
    client: AsyncClient, room: asyncio.Semaphore, path: Path, target: Path, edit: dict[str, Any]
) -> bool:
    """Write the edited image; whether that worked."""
    async with room:
        try:
            answer = await client.edit(**edit, **source(path), frames="final")
        except (GradCtrlError, OSError, KeyError, ValueError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return False
    partial = target.with_suffix(".partial")  # a file with its final name is complete
    partial.write_bytes(answer.frames[-1].encoded)
    partial.rename(target)
    reached = "reached" if answer.edits[-1].reached else "not reached"
    print(f"{path.name} -> {target.name}: {reached}")
    return True


async def run(arguments: argparse.Namespace) -> int:
    """Edit what is left to do; how many files failed."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    edit = {"attribute": arguments.attribute, "target": arguments.target, "model": arguments.model}
    room = asyncio.Semaphore(arguments.at_once)
    work = []
    async with AsyncClient(arguments.url) as client:
        for path in sorted(arguments.input.iterdir()):
            target = arguments.output / f"{path.name}.png"  # a.jpg and a.png are two
            if path.suffix in (".npz", *IMAGES) and not target.exists():
                work.append(edit_file(client, room, path, target, edit))
        done = await asyncio.gather(*work)
    print(f"{sum(done)} edited, {len(done) - sum(done)} failed")
    return len(done) - sum(done)


def main() -> None:
    """Run the batch."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--attribute", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--model", help="default: the first served model")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--at-once", type=int, default=8)
    sys.exit(1 if asyncio.run(run(parser.parse_args())) else 0)


if __name__ == "__main__":
    main()
