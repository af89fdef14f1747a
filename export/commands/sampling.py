"""Commands that make and label sample banks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from export import labeling
from export.arguments import split_names
from export.banks import make_bank, write_pngs
from export.commands.app import (
    Name,
    Output,
    Truncation,
    app,
    console,
    progress_bar,
    resumable,
    warn,
)
from export.errors import ExportError
from export.labels import AttributeLabels, remove_labels
from model_store import find_model


@app.command()
def bank(
    name: Name,
    output: Output,
    samples: Annotated[int, typer.Option(help="Number of samples.", min=1)] = 20_000,
    first_seed: Annotated[int, typer.Option(help="Seed of sample 0.", min=0)] = 0,
    truncation: Truncation = None,
    class_label: Annotated[
        int | None,
        typer.Option(help="Class of every sample; default: drawn by each seed.", min=0),
    ] = None,
    mixing: Annotated[
        bool, typer.Option("--mixing", help="Latents that differ by layer (StyleGAN).")
    ] = False,
    png: Annotated[
        int, typer.Option(help="Also write so many images, to label: png/<sample>.png.", min=0)
    ] = 0,
) -> None:
    """Make a sample bank: latents and images, memory-mapped; run again to resume."""
    with resumable(), progress_bar() as progress:
        task = progress.add_task("sampling", total=samples)
        info = make_bank(
            find_model(name),
            samples,
            output,
            first_seed,
            truncation,
            lambda done: progress.update(task, completed=done),
            class_label,
            mixing,
        )
    console.print(f"{info.done} samples in {output}")
    if png:
        console.print(f"images to label in {write_pngs(output, png)}")


@app.command()
def label(
    folder: Annotated[Path, typer.Argument(help="Folder of a sample bank.")],
    labeler: Annotated[
        str | None, typer.Option("--with", help=f"One of: {', '.join(labeling.LABELERS)}.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv", help="Labels by people: sample,<attribute>,...; samples count from 0."
        ),
    ] = None,
    first: Annotated[
        int | None, typer.Option(help="With --with: only the first so many samples.", min=1)
    ] = None,
    remove: Annotated[
        str | None, typer.Option(help="Attributes whose labels to delete, comma-separated.")
    ] = None,
) -> None:
    """Score the images of a bank by a classifier, or take labels from a CSV file."""
    if sum(one is not None for one in (labeler, table, remove)) != 1:
        raise ExportError("give exactly one of --with, --csv and --remove")
    if remove is not None:
        _print_counts(remove_labels(folder, split_names(remove)))
        return
    with progress_bar() as progress:
        task = progress.add_task("labelling", total=None)
        found = labeling.label_bank(
            folder,
            labeler,
            table,
            first,
            lambda done, total: progress.update(task, completed=done, total=total),
            warn,
        )
    _print_counts(found)


def _print_counts(labels: Mapping[str, AttributeLabels]) -> None:
    for name, one in labels.items():
        counts = np.bincount(one.labels()[one.labels() >= 0], minlength=len(one.classes))
        described = ", ".join(f"{c} {n}" for c, n in zip(one.classes, counts, strict=True))
        console.print(f"{name}: {described}", soft_wrap=True)
