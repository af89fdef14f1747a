"""The `gradctrl` command: arguments to jobs, results to lines. No job is written here."""

import os
import sys

import typer

from editing import EditingError
from export.commands.app import app
from export.entry import become_service
from export.errors import ExportError
from model_store import ModelStoreError, keep_freed_memory

# isort: off
from export.commands import storing, making, sampling, learning, comparing  # the order of --help
# isort: on

__all__ = ["app", "comparing", "learning", "main", "making", "sampling", "storing"]


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def serve(context: typer.Context) -> None:
    """Serve models over REST and gRPC (see: gradctrl serve --help)."""
    become_service(context.args)


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit code 2."""
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    keep_freed_memory()  # most commands render
    try:
        app(standalone_mode=True)
    except (ExportError, ModelStoreError, EditingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
