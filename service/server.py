"""BentoML's server as `gradctrl serve` runs it. Knows no setting.

BentoML keeps the series of every server of one home in one folder, which each empties at its start:
two services on one machine would take the other's. Here the folder is that of an address, which
one service at a time has.
"""

import sys
from pathlib import Path

from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml_cli.cli import cli as bentoml_command

ROOT = Path(__file__).resolve().parent.parent
TARGET = "service.app:EditService"


def run_server(host: str, port: str) -> None:
    """Be the server until it ends; its workers are told the folder by BentoML."""
    home = Path(BentoMLContainer.bentoml_home.get())
    BentoMLContainer.prometheus_multiproc_dir.set(str(home / "gradctrl-series" / f"{host}-{port}"))
    where = ["--working-dir", str(ROOT), "--host", host, "--port", port]
    bentoml_command.main(["serve", TARGET, *where], prog_name="bentoml")


if __name__ == "__main__":
    run_server(*sys.argv[1:])
