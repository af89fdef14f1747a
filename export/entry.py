"""The installed `gradctrl`: `serve` begins at once, all else first imports what the jobs need."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def main() -> None:
    """Run the command."""
    if sys.argv[1:2] == ["serve"]:
        become_service(sys.argv[2:])
    from export.commands import main as run_command  # torch and more: 2.2 s of CPU

    run_command()


def become_service(arguments: Sequence[str]) -> NoReturn:
    """Replace this process: export must not import service."""
    os.execv(sys.executable, [sys.executable, "-m", "service", *arguments])
