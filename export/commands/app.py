"""What all commands share: the application, the console, options and the progress bar."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Turn a GAN checkpoint and a few labelled samples into a served, disentangled edit API.",
)
console = Console(markup=False, emoji=False)  # names and paths are printed as they are

Name = Annotated[str, typer.Argument(help="Model in the store: NAME or NAME:VERSION.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder or file to write.")]
BankFolder = Annotated[Path, typer.Option("--bank", help="Folder of a labelled sample bank.")]
Truncation = Annotated[
    float | None, typer.Option(help="Truncation psi, 0..1; default: the card's.", min=0, max=1)
]
ClassLabel = Annotated[
    int | None, typer.Option(help="Class 0..c_dim-1, for conditional models.", min=0)
]


def warn(message: str) -> None:
    """Say what a user should know of a job that goes on."""
    console.print(f"warning: {message}", soft_wrap=True)


@contextmanager
def resumable() -> Iterator[None]:
    """Say at an interrupt that what was done so far is kept."""
    try:
        yield
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume", file=sys.stderr)
        raise


def progress_bar() -> Progress:
    """A bar with a description, a count and the time that is left."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
