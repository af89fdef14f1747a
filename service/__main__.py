"""`python -m service`: checks what would fail later, then is the BentoML server itself.

In the same process, because another one would import torch once more before anything starts.
"""

import gc

gc.disable()  # as in service/app.py

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from model_store import ModelStoreError, Provider, models_to_serve
from service.backends import onnx_provider
from service.pins import new_pins
from service.server import run_server
from service.settings import ENV_PREFIX, Settings, describe_settings, unknown_variables
from service.start_checks import StartError, check_start

gc.freeze()
gc.enable()


def serve(
    port: Annotated[int, typer.Option(help="Port of the REST API.", min=1, max=65535)] = 3000,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    models: Annotated[
        str, typer.Option(help="Comma-separated models; the first is the default. Empty: all.")
    ] = "",
    grpc_port: Annotated[
        int | None,
        typer.Option(
            help="Port of the gRPC API; 0: none. Default: GRADCTRL_GRPC_PORT, or 3001.",
            min=0,
            max=65535,
        ),
    ] = None,
) -> None:
    """Serve models over REST and gRPC."""
    _set("MODELS", models)
    _set("GRPC_PORT", "" if grpc_port is None else str(grpc_port))
    os.environ.setdefault(f"{ENV_PREFIX}GRPC_HOST", host)
    names = os.environ.get(f"{ENV_PREFIX}MODELS", "")
    try:
        served = models_to_serve(tuple(part.strip() for part in names.split(",") if part.strip()))
    except ModelStoreError as error:
        raise SystemExit(f"error: {error}") from error
    for name, nearest in unknown_variables().items():
        typer.echo(f"warning: {name} is no setting; the nearest is {nearest}", err=True)
    config = _settings()
    keep_paths(config)
    try:
        check_start(config, served, host, port)
    except StartError as error:
        raise SystemExit(f"error: {error}") from error
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    with new_pins([model.tag for model in served]) as pins:
        os.environ[f"{ENV_PREFIX}PINS_FILE"] = str(pins)
        become_server(host, port, onnx_provider(config))


def become_server(host: str, port: int, checked: Provider | None) -> None:
    """Be BentoML's server; anew where sessions were checked on a GPU, whose memory they keep."""
    if checked not in (None, "cpu"):
        os.execv(sys.executable, [sys.executable, "-m", "service.server", host, str(port)])
    run_server(host, str(port))


def keep_paths(config: Settings) -> None:
    """Have the workers, which BentoML starts in another folder, find the files of this one."""
    paths = {name: value for name, value in config if isinstance(value, Path)}
    if config.job_store:
        paths["job_store"] = Path(config.job_store)
    for name, path in paths.items():
        _set(name.upper(), str(path.absolute()))


def _set(name: str, value: str) -> None:
    if value:
        os.environ[f"{ENV_PREFIX}{name}"] = value


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        shown = f"{ENV_PREFIX}{name}: " if name else ""
        raise SystemExit(f"error: {shown}{first['msg']}") from error


def main() -> None:
    """The command, with the settings in its help."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    epilog = f"Settings from the environment:\n\n{describe_settings()}"
    app.command(name="serve", epilog=epilog)(serve)
    app(prog_name="gradctrl serve")


if __name__ == "__main__":
    main()
