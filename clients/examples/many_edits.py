"""The Python client on an event loop: many edits at once, images in the order of the seeds.

python clients/examples/many_edits.py [URL] [FOLDER]
"""

import asyncio
import sys
from pathlib import Path

from gradctrl_client import AsyncClient

SEEDS = range(16)
AT_ONCE = 8


async def main(url: str, folder: Path) -> None:
    """Save the last frame of every seed's edit."""
    folder.mkdir(parents=True, exist_ok=True)
    room = asyncio.Semaphore(AT_ONCE)
    async with AsyncClient(url) as client:

        async def edit(seed: int) -> float:
            async with room:
                edit = await client.edit("smile", "smiling", seed=seed, frames="final")
            edit.frames[-1].image.save(folder / f"seed-{seed:02}.png")
            return edit.frames[-1].scores["smile"]["smiling"]

        for seed, smiling in zip(SEEDS, await asyncio.gather(*map(edit, SEEDS)), strict=True):
            print(f"seed {seed}: {smiling:.2f}")


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    url = arguments.get(1, "http://127.0.0.1:3000")
    asyncio.run(main(url, Path(arguments.get(2, "edits"))))
