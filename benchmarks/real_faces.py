"""Photos of real people through `celeba`: aligned, inverted three ways, edited; one sheet.

The photos are the demo photos of the npm package that `gradctrl fetch celeba` reads; each face is
cut out first, because they show several people. Prints errors and identities.

    python -m benchmarks.real_faces -o docs/images/inversion-faces.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.inversion import _rendered, _walked
from export.inverting import invert_square
from export.labeling import FACE_API
from export.packages import download_npm, scratch_folder
from export.strips import LocalModel, load_local
from model_store import (
    MODES,
    Inverter,
    PhotoError,
    find_model,
    load_inverter,
    place,
    read_photo,
)

EDITS = (("smile", "smiling"), ("smile", "not_smiling"), ("gender", "male"), ("age", "old"))
EDITED_MODES = ("optimize", "pivotal")
_AROUND = 1.0  # of a face's box, to each side
_MAX_PIXELS = 50_000_000


def faces_of(inverter: Inverter, photos: Sequence[Path]) -> list[np.ndarray]:
    """Aligned squares [R, R, 3] of all faces that are found alone in their surroundings."""
    assert inverter.finder is not None, "run gradctrl fetch celeba with npm"
    squares = []
    for path in photos:
        photo = read_photo(path.read_bytes(), _MAX_PIXELS)
        for face in inverter.finder.find(photo):
            left, top, right, bottom = face.box
            width, height = (right - left) * _AROUND / 2, (bottom - top) * _AROUND / 2
            cut = photo[
                max(0, int(top - height)) : int(bottom + height),
                max(0, int(left - width)) : int(right + width),
            ]
            try:
                squares.append(place(inverter, cut, align=True)[0])
            except PhotoError:
                continue
    return squares


def column(model: LocalModel, inverter: Inverter, square: np.ndarray) -> tuple[np.ndarray, str]:
    """One face from top to bottom, and what was measured."""
    images, texts = [square], []
    edited: list[np.ndarray] = []
    for mode in MODES:
        found = invert_square(inverter, square, mode)
        images.append(found.reconstruction)
        identity = inverter.identity(square, found.reconstruction)
        texts.append(f"{mode} {found.error:.4f} identity {identity or float('nan'):.2f}")
        if mode not in EDITED_MODES:
            continue
        for name, target in EDITS:
            attribute = next(a for a in model.generator.card.attributes if a.name == name)
            index = np.array([attribute.classes.index(target)])
            ended = _walked(model, found.latents, attribute, index)
            edited.append(_rendered([found.inverter.generator], ended)[0])
    return np.concatenate([*images, *edited]), "; ".join(texts)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="real faces through celeba, as a sheet")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stored = find_model("celeba")
    inverter = load_inverter(stored, stored.generator(), torch.device("cpu"))
    with scratch_folder() as folder:
        photos = sorted((download_npm(FACE_API, folder) / "demo").glob("sample*.jpg"))
        squares = faces_of(inverter, photos)[: arguments.faces]
    columns = []
    for square in squares:
        pixels, text = column(load_local(stored), inverter, square)
        columns.append(pixels)
        print(text)
    sheet = Image.fromarray(np.concatenate(columns, axis=1))
    sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.BICUBIC).save(
        arguments.output
    )
    rows = ["photo", *MODES, *(f"{mode}: {t}" for mode in EDITED_MODES for _, t in EDITS)]
    print("rows: " + ", ".join(rows))


if __name__ == "__main__":
    main()
