"""`python -m service`: checks what would fail later, then becomes the BentoML server."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from model_store import ModelStoreError, models_to_serve
from service.settings import ENV_PREFIX, describe_settings

ROOT = Path(__file__).resolve().parent.parent
TARGET = "service.app:EditService"


def serve(
    port: Annotated[int, typer.Option(help="Port of the REST API.", min=1, max=65535)] = 3000,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    models: Annotated[
        str, typer.Option(help="Comma-separated models; the first is the default. Empty: all.")
    ] = "",
) -> None:
    """Serve models over REST."""
    if models:
        os.environ[f"{ENV_PREFIX}MODELS"] = models
    names = os.environ.get(f"{ENV_PREFIX}MODELS", "")
    try:
        served = models_to_serve(tuple(part.strip() for part in names.split(",") if part.strip()))
    except ModelStoreError as error:
        raise SystemExit(f"error: {error}") from error
    _check_port(host, port)
    # The exact versions, so that a model stored while the service runs does not split it.
    os.environ[f"{ENV_PREFIX}MODELS"] = ",".join(model.tag for model in served)
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    command = [sys.executable, "-m", "bentoml", "serve", TARGET, "--working-dir", str(ROOT)]
    os.execv(sys.executable, [*command, "--host", host, "--port", str(port)])


def _check_port(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SystemExit(f"error: cannot listen on {host}:{port}: {reason}") from error


def main() -> None:
    """The command, with the settings in its help."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    epilog = f"Settings from the environment:\n\n{describe_settings()}"
    app.command(name="serve", epilog=epilog)(serve)
    app(prog_name="gradctrl serve")


if __name__ == "__main__":
    main()
