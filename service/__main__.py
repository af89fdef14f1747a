"""`python -m service`: checks what would fail later, then is the BentoML server itself.

In the same process, because another one would import torch once more before anything starts.
"""

import gc

gc.disable()  # as in service/app.py

import os
import socket
import sqlite3
import ssl
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import torch
import typer
from pydantic import ValidationError

from editing import NoGraphsError
from model_store import (
    ModelStoreError,
    OnnxError,
    Provider,
    StoredModel,
    features_of,
    models_to_serve,
    open_onnx,
)
from service.api_keys import KeyFileError, read_keys
from service.backends import onnx_provider
from service.exposure import ExposedError, expect_guarded
from service.nvjpeg import NoNvJpegError, find_codec
from service.pins import new_pins
from service.processes import choose_device
from service.server import run_server
from service.settings import ENV_PREFIX, Settings, describe_settings, unknown_variables
from service.signing import SigningError, signing_of
from service.walkers import Walker

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
    _check_access(config, host)
    _check_ports(config, host, port)
    _check_device(config)
    _check_tls(config)
    _check_jobs(config)
    _check_reload(config)
    _check_features(config, served)
    _check_sessions(config, served)
    _check_signing(config)
    _check_jpegs(config)
    _check_graphs(config)
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


def _check_access(config: Settings, host: str) -> None:
    """Exit where others could call without a key, or keys cannot be read."""
    try:
        expect_guarded(config, host, *([config.grpc_host] if config.grpc_port else []))
        if config.api_keys_file is not None:
            read_keys(config.api_keys_file)
    except (ExposedError, KeyFileError) as error:
        raise SystemExit(f"error: {error}") from error


def _check_ports(config: Settings, host: str, port: int) -> None:
    """Exit unless both APIs can listen: gRPC itself would share a port with another service."""
    if config.grpc_port == port:
        raise SystemExit(f"error: REST and gRPC cannot both listen on port {port}")
    _check_port(host, port)
    if config.grpc_port:
        _check_port(config.grpc_host, config.grpc_port)


def _check_port(host: str, port: int) -> None:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SystemExit(f"error: cannot listen on {host}:{port}: {reason}") from error


def _check_device(config: Settings) -> None:
    """Exit where the device is missing: both runners would start in vain."""
    device, gpus = choose_device(config), torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise SystemExit(
            f"error: {ENV_PREFIX}DEVICE: expected auto, cpu or one of the {gpus} CUDA devices that "
            f"torch finds, got {config.device!r}"
        )


def _check_tls(config: Settings) -> None:
    """Exit where the gRPC API could not use its certificates: the API would start in vain."""
    context, names = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ""
    try:
        if config.grpc_tls_cert is not None:
            names = f"{ENV_PREFIX}GRPC_TLS_CERT, {ENV_PREFIX}GRPC_TLS_KEY"
            context.load_cert_chain(config.grpc_tls_cert, config.grpc_tls_key, password="")
        if config.grpc_tls_client_ca is not None:
            names = f"{ENV_PREFIX}GRPC_TLS_CLIENT_CA"
            context.load_verify_locations(config.grpc_tls_client_ca)
    except OSError as error:  # SSLError is one
        raise SystemExit(
            f"error: {names}: expected PEM certificates, and a key without a password: {error}"
        ) from error


def _check_jobs(config: Settings) -> None:
    """Exit where the file of jobs cannot be used: the API would start in vain."""
    if not config.job_store:
        return
    try:
        with closing(sqlite3.connect(config.job_store)) as file:
            file.execute("BEGIN IMMEDIATE")  # to write; nothing is
    except sqlite3.Error as error:
        raise SystemExit(f"error: {ENV_PREFIX}JOB_STORE: {config.job_store}: {error}") from error


def _check_reload(config: Settings) -> None:
    """Exit where a reload of other models than those served would be refused."""
    if config.reload_models is None:
        return
    try:
        models_to_serve(config.reload_models)
    except ModelStoreError as error:
        raise SystemExit(f"error: {ENV_PREFIX}RELOAD_MODELS: {error}") from error


def _check_features(config: Settings, served: Sequence[StoredModel]) -> None:
    """Exit where photos could not be compared as asked: every inversion would fail."""
    if config.perceptual_network is None:
        return
    try:
        features_of(served[0], config.perceptual_network)
    except ModelStoreError as error:
        reason = str(error).partition("\n")[0]  # then torch's own frames
        raise SystemExit(f"error: {ENV_PREFIX}PERCEPTUAL_NETWORK: {reason}") from error


def _check_sessions(config: Settings, served: Sequence[StoredModel]) -> None:
    """Exit where ONNX Runtime would not run a model as asked: a runner would start in vain."""
    provider = onnx_provider(config)
    if provider is None:
        return
    try:
        for model in served:
            open_onnx(model, provider, threads=1)
    except OnnxError as error:
        raise SystemExit(f"error: {error}") from error


def _check_signing(config: Settings) -> None:
    """Exit where images could not be signed as asked: the generator would start in vain."""
    try:
        signing_of(config)
    except SigningError as error:
        raise SystemExit(f"error: {error}") from error


def _check_graphs(config: Settings) -> None:
    """Exit where walks could not be captured as asked: the classifier would start in vain."""
    try:
        Walker.of(config, choose_device(config), num_samples=1).walk()
    except NoGraphsError as error:
        raise SystemExit(f"error: {ENV_PREFIX}CUDA_GRAPHS: {error}") from error


def _check_jpegs(config: Settings) -> None:
    """Exit where JPEGs could not be encoded as asked: the generator would start in vain."""
    if config.jpeg_encoder != "nvjpeg":
        return
    try:
        find_codec(choose_device(config))
    except NoNvJpegError as error:
        raise SystemExit(f"error: {ENV_PREFIX}JPEG_ENCODER: {error}") from error


def main() -> None:
    """The command, with the settings in its help."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    epilog = f"Settings from the environment:\n\n{describe_settings()}"
    app.command(name="serve", epilog=epilog)(serve)
    app(prog_name="gradctrl serve")


if __name__ == "__main__":
    main()
