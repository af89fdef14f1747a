"""What would fail after a start, found before it: one line instead of workers that die in turn."""

import os
import socket
import sqlite3
import ssl
from collections.abc import Sequence
from contextlib import closing

import torch

from editing import NoGraphsError
from model_store import (
    ModelStoreError,
    OnnxError,
    StoredModel,
    features_of,
    models_to_serve,
    open_onnx,
)
from service.api_keys import KeyFileError, read_keys
from service.backends import onnx_provider
from service.exposure import ExposedError, expect_guarded
from service.nvjpeg import NoNvJpegError, find_codec
from service.processes import choose_device
from service.settings import ENV_PREFIX, Settings
from service.signing import SigningError, signing_of
from service.walkers import Walker


class StartError(Exception):
    """The service cannot start as it is set up; the message names the setting."""


def check_start(config: Settings, served: Sequence[StoredModel], host: str, port: int) -> None:
    """StartError for the first thing that the service would fail at once it has started."""
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


def _check_access(config: Settings, host: str) -> None:
    """StartError where others could call without a key, or keys cannot be read."""
    try:
        expect_guarded(config, host, *([config.grpc_host] if config.grpc_port else []))
        if config.api_keys_file is not None:
            read_keys(config.api_keys_file)
    except (ExposedError, KeyFileError) as error:
        raise StartError(str(error)) from error


def _check_ports(config: Settings, host: str, port: int) -> None:
    """StartError unless both APIs can listen: gRPC itself would share a port with others."""
    if config.grpc_port == port:
        raise StartError(f"REST and gRPC cannot both listen on port {port}")
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
        raise StartError(f"cannot listen on {host}:{port}: {reason}") from error


def _check_device(config: Settings) -> None:
    """StartError where the device is missing: both runners would start in vain."""
    device, gpus = choose_device(config), torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise StartError(
            f"{ENV_PREFIX}DEVICE: expected auto, cpu or one of the {gpus} CUDA devices that "
            f"torch finds, got {config.device!r}"
        )


def _check_tls(config: Settings) -> None:
    """StartError where the gRPC API could not use its certificates: the API would start in vain."""
    context, names = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ""
    try:
        if config.grpc_tls_cert is not None:
            names = f"{ENV_PREFIX}GRPC_TLS_CERT, {ENV_PREFIX}GRPC_TLS_KEY"
            context.load_cert_chain(config.grpc_tls_cert, config.grpc_tls_key, password="")
        if config.grpc_tls_client_ca is not None:
            names = f"{ENV_PREFIX}GRPC_TLS_CLIENT_CA"
            context.load_verify_locations(config.grpc_tls_client_ca)
    except OSError as error:  # SSLError is one
        raise StartError(
            f"{names}: expected PEM certificates, and a key without a password: {error}"
        ) from error


def _check_jobs(config: Settings) -> None:
    """StartError where the file of jobs cannot be used: the API would start in vain."""
    if not config.job_store:
        return
    try:
        with closing(sqlite3.connect(config.job_store)) as file:
            file.execute("BEGIN IMMEDIATE")  # to write; nothing is
    except sqlite3.Error as error:
        raise StartError(f"{ENV_PREFIX}JOB_STORE: {config.job_store}: {error}") from error


def _check_reload(config: Settings) -> None:
    """StartError where a reload of other models than those served would be refused."""
    if config.reload_models is None:
        return
    try:
        models_to_serve(config.reload_models)
    except ModelStoreError as error:
        raise StartError(f"{ENV_PREFIX}RELOAD_MODELS: {error}") from error


def _check_features(config: Settings, served: Sequence[StoredModel]) -> None:
    """StartError where photos could not be compared as asked: every inversion would fail."""
    if config.perceptual_network is None:
        return
    try:
        features_of(served[0], config.perceptual_network)
    except ModelStoreError as error:
        reason = str(error).partition("\n")[0]  # then torch's own frames
        raise StartError(f"{ENV_PREFIX}PERCEPTUAL_NETWORK: {reason}") from error


def _check_sessions(config: Settings, served: Sequence[StoredModel]) -> None:
    """StartError where ONNX Runtime would not run a model: a runner would start in vain."""
    provider = onnx_provider(config)
    if provider is None:
        return
    try:
        for model in served:
            open_onnx(model, provider, threads=1)
    except OnnxError as error:
        raise StartError(str(error)) from error


def _check_signing(config: Settings) -> None:
    """StartError where images could not be signed as asked: the generator would start in vain."""
    try:
        signing_of(config)
    except SigningError as error:
        raise StartError(str(error)) from error


def _check_graphs(config: Settings) -> None:
    """StartError where walks could not be captured as asked: the classifier would start in vain."""
    try:
        Walker.of(config, choose_device(config), num_samples=1).walk()
    except NoGraphsError as error:
        raise StartError(f"{ENV_PREFIX}CUDA_GRAPHS: {error}") from error


def _check_jpegs(config: Settings) -> None:
    """StartError where JPEGs could not be encoded as asked: the generator would start in vain."""
    if config.jpeg_encoder != "nvjpeg":
        return
    try:
        find_codec(choose_device(config))
    except NoNvJpegError as error:
        raise StartError(f"{ENV_PREFIX}JPEG_ENCODER: {error}") from error
