"""What a C2PA signature costs a file: CPU time and bytes beside encoding alone, 64 and 256 px.

python -m benchmarks.signing [avatars] [--repeats 21]
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.pairs import medians, save
from export.sampling import sample_latents
from model_store import StoredModel, find_model, to_pixels
from service.images import Encoding, ImageFormat, encode_frames
from service.provenance import Provenance
from service.rendering import compress
from service.settings import Settings
from service.signing import Sign, signing_of, unsigned
from tests.certificates import SIGNS, issue

FRAMES = 16
SIDES = (64, 256)
QUALITY = 90


def make_signer(folder: Path) -> Sign:
    """Signs with a P-256 key, as most do, and no time stamps."""
    root = issue("root")
    authority = issue("authority", root)
    signer = issue("signer", authority, usages=SIGNS)
    certificate, key = folder / "chain.pem", folder / "key.pem"
    certificate.write_bytes(signer.pem + authority.pem)
    key.write_bytes(signer.key_pem)
    return signing_of(Settings(c2pa_certificate=certificate, c2pa_key=key))


def frames_of(model: StoredModel, side: int) -> np.ndarray:  # [FRAMES, side, side, 3], uint8
    """Frames of a model, enlarged."""
    with torch.inference_mode():
        latents = sample_latents(model.generator(), list(range(FRAMES)), model.card.truncation)
        frames = to_pixels(model.generator().synthesis(latents))
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side))) for one in frames])


def compare(model: StoredModel, sign: Sign, repeats: int) -> list[dict[str, object]]:
    """CPU milliseconds and bytes of a frame, by side and format."""
    rows: list[dict[str, object]] = []
    for side in SIDES:
        frames = frames_of(model, side)
        for format in get_args(ImageFormat):
            encoding = Encoding(format, QUALITY, None)
            of = Provenance.of(model.card)
            runs = {
                name: partial(compress, frames, encoding, False, of, encode_frames, how)
                for name, how in (("alone", unsigned), ("signed", sign))
            }
            times = medians(runs, repeats, time.process_time)
            sizes = {name: sum(map(len, run())) / FRAMES for name, run in runs.items()}
            row: dict[str, object] = {"side": side, "format": format}
            row |= {f"{name}_ms": 1e3 * seconds / FRAMES for name, seconds in times.items()}
            rows.append(row | {f"{name}_bytes": size for name, size in sizes.items()})
    return rows


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="avatars")
    parser.add_argument("--repeats", type=int, default=21)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sign = make_signer(Path(folder))
        rows = compare(find_model(arguments.model), sign, arguments.repeats)
    columns = ("side", "format", "alone_ms", "signed_ms", "alone_bytes", "signed_bytes")
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_shown(row[name]) for name in columns))
    Console().print(table)
    print(save("signing", rows))


if __name__ == "__main__":
    main()
