"""Settings of the service: environment variables GRADCTRL_*, read here and nowhere else."""

import os
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Literal, Self

import limits
import torch
from pydantic import Field, FilePath, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV_PREFIX = "GRADCTRL_"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LONGEST_JOB_S = 86_400.0
JpegEncoder = Literal["pillow", "nvjpeg"]


class Settings(BaseSettings):
    """Every knob of the running service."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True)

    models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="models to serve, comma-separated names or name:version; "
        "the first is the default of requests; empty serves every model in the store",
    )
    reload_models: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None,
        description="what a reload looks up, written as models; default: what models says",
    )
    pins_file: FilePath | None = Field(
        default=None,
        description="file of the exact versions that a process which starts anew serves; made by "
        "gradctrl serve for its own processes, written by a reload; none: what models says",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="torch device of both runners: auto, cpu, cuda or cuda:N",
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="dtype of the synthesis; walks are always float32"
    )
    backend: Literal["torch", "torch-compile", "onnx"] = Field(
        default="torch",
        description="what computes images; torch-compile, which computes walks too, takes a while "
        "to start, onnx needs gradctrl export-onnx",
    )
    onnx_provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        default="auto",
        description="where ONNX Runtime computes; auto: cuda on a CUDA device, else cpu; one that "
        "does not start is an error, there is no fallback",
    )
    cuda_graphs: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="CUDA graphs of walks that are kept for each model, which hold memory of the "
        "device; 0: none are made; needs a CUDA device, never run on one",
    )
    jpeg_encoder: JpegEncoder = Field(
        default="pillow",
        description="what encodes JPEG frames; nvjpeg, on the CUDA device, needs the extra nvjpeg, "
        "never run on one",
    )
    max_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="most frames rendered together (fewer of large images), and latents walked "
        "together on a GPU; batches do not depend on the load, so neither do images; "
        "default: 9 on a CPU, 16 on a GPU",
    )
    keep_freed_memory: bool = Field(
        default=True,
        description="whether a generator process keeps memory that it freed for its next images "
        "(glibc): 3,000 page faults less an edit of avatars, but it stays as large as it ever was",
    )
    max_batch_wait_ms: float = Field(
        default=0.0, ge=0, le=1000, description="how long an idle runner waits to fill a batch"
    )
    max_queue: int = Field(
        default=4096, ge=1, description="frames or latents waiting in a runner before it refuses"
    )
    max_pixels: int = Field(
        default=25_000_000, ge=4096, description="largest image that is read, pixels"
    )
    inversion_cache_bytes: int = Field(
        default=64_000_000, ge=0, description="bytes of inversions kept for equal images; 0: none"
    )
    max_tuned: int = Field(
        default=4,
        ge=1,
        le=64,
        description="generators tuned for one image (pivotal) that a runner keeps for its edits",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="of the noise that inversions search with",
    )
    perceptual_network: FilePath | None = Field(
        default=None,
        description="TorchScript file that inversions compare features by: images [N, 3, H, W] in "
        "-1..1 to one or more tensors; default: the model's discriminator, else its encoder",
    )
    max_upload_bytes: int = Field(
        default=10_000_000, ge=1024, description="largest request body, bytes"
    )
    max_unanswered_bytes: int = Field(
        default=64_000_000,
        ge=0,
        description="bytes of REST request bodies that may arrive or be worked on at once before "
        "the API refuses those above 64 KiB; one body is always taken",
    )
    max_frames: int = Field(
        default=513,
        ge=1,
        description="most latents of one request: the steps of all edits and one, or the images "
        "of a generate call; the default is what 8 edits of 64 steps have",
    )
    max_in_flight: int = Field(
        default=256,
        ge=1,
        description="requests worked on at once, and streams that are read at once, before the API "
        "refuses",
    )
    timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=600,
        description="longest time for one request, and for its answer to be read, seconds",
    )
    max_unsent_bytes: int = Field(
        default=256_000_000,
        ge=0,
        description="bytes of whole REST answers that may wait for their readers at once before "
        "the API refuses; one answer is always sent",
    )
    api_keys_file: FilePath | None = Field(
        default=None,
        description="file of hashed API keys (python -m service.api_keys); none: anybody may call",
    )
    allow_anonymous: bool = Field(
        default=False,
        description="whether to listen beyond this machine without API keys, because something "
        "else guards the service",
    )
    rate_limit: str = Field(
        default="",
        description="calls of one key, or of one address without keys, such as 600/minute; counted "
        "in each API process; empty: no limit",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="origins that browsers may call from, comma-separated; none"
    )
    drain_s: float = Field(
        default=25.0,
        ge=0,
        le=600,
        description="longest time to finish accepted work after SIGTERM, seconds",
    )
    cache_bytes: int = Field(
        default=64_000_000, ge=0, description="bytes of answers kept for equal requests; 0: none"
    )
    idempotency_bytes: int = Field(
        default=64_000_000, ge=0, description="bytes of answers kept for idempotency keys"
    )
    idempotency_ttl_s: float = Field(
        default=600.0, gt=0, description="how long an idempotency key is remembered, seconds"
    )
    job_store: str = Field(
        default="", description="SQLite file of jobs, which then survive a restart; empty: memory"
    )
    job_workers: int = Field(default=2, ge=1, le=64, description="jobs worked on at once")
    max_jobs: int = Field(default=256, ge=1, description="jobs waiting before the API refuses")
    job_bytes: int = Field(
        default=256_000_000, ge=0, description="bytes of job results kept; the oldest go first"
    )
    job_ttl_s: float = Field(
        default=3600.0, gt=0, description="how long a finished job is kept, seconds"
    )
    job_timeout_s: float = Field(
        default=600.0, gt=0, le=LONGEST_JOB_S, description="longest time for one job, seconds"
    )
    grpc_port: int = Field(
        default=3001, ge=0, le=65535, description="port of the gRPC API; 0: no gRPC"
    )
    grpc_host: str = Field(default="127.0.0.1", description="address that the gRPC API binds")
    grpc_tls_cert: FilePath | None = Field(
        default=None, description="PEM certificate chain of the gRPC API; without one no TLS"
    )
    grpc_tls_key: FilePath | None = Field(
        default=None, description="PEM private key of that certificate"
    )
    grpc_tls_client_ca: FilePath | None = Field(
        default=None, description="PEM certificates that gRPC clients must be signed by; any client"
    )

    c2pa_certificate: FilePath | None = Field(
        default=None,
        description="PEM certificate chain that images are signed with (C2PA), its own first; "
        "needs the extra c2pa; none: images are labelled and not signed",
    )
    c2pa_key: FilePath | None = Field(
        default=None, description="PEM private key of that certificate, without a password"
    )
    c2pa_timestamp_url: str = Field(
        default="",
        pattern="^(https?://.+)?$",
        description="URL of a time-stamp authority (RFC 3161), asked for every signed image; "
        "empty: none",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="how log lines are written: text or json"
    )
    access_log: bool = Field(default=True, description="whether every answered call is a log line")
    otlp_endpoint: str = Field(
        default="",
        pattern="^(https?://.+)?$",
        description="URL that OpenTelemetry spans are sent to (OTLP over HTTP), for example "
        "http://collector:4318/v1/traces; empty: none",
    )
    trace_sample_rate: float = Field(
        default=1.0, ge=0, le=1, description="share of the traces that begin here and are sent"
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="port on which a runner of its own machine serves /metrics, because its other "
        "port takes pickle; 0: none",
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="address that the metrics port binds"
    )

    @property
    def rendering(self) -> str:
        """What decides an image beside its request and its model, but for how its bits round."""
        signs = "unsigned" if self.c2pa_certificate is None else "signed"
        computed = f"{self.backend}-{self.dtype}-{self.jpeg_encoder}-{signs}"
        return f"{computed}-{self.seed}-{self.perceptual_network}"

    @field_validator("models", "reload_models", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("rate_limit")
    @classmethod
    def _is_rate(cls, value: str) -> str:
        if not value:
            return value
        expected = f"expected one rate such as 600/minute, got {value!r}"
        try:
            rates = limits.parse_many(value)
        except ValueError as error:
            raise ValueError(expected) from error
        if len(rates) != 1 or rates[0].amount < 1:
            raise ValueError(expected)
        return value

    @model_validator(mode="after")
    def _onnx_is_float32(self) -> Self:
        if self.backend == "onnx" and self.dtype != "float32":
            raise ValueError("dtype: ONNX files are float32; with backend onnx it is float32")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.grpc_tls_cert is None) != (self.grpc_tls_key is None):
            raise ValueError("grpc_tls_cert, grpc_tls_key: give both or none")
        if self.grpc_tls_client_ca is not None and self.grpc_tls_cert is None:
            raise ValueError("grpc_tls_client_ca needs grpc_tls_cert and grpc_tls_key")
        return self

    @model_validator(mode="after")
    def _signing_is_whole(self) -> Self:
        names = [f"{ENV_PREFIX}C2PA_{name}" for name in ("CERTIFICATE", "KEY", "TIMESTAMP_URL")]
        if (self.c2pa_certificate is None) != (self.c2pa_key is None):
            raise ValueError(f"{names[0]}, {names[1]}: give both or none")
        if self.c2pa_timestamp_url and self.c2pa_certificate is None:
            raise ValueError(f"{names[2]} needs {names[0]} and {names[1]}")
        return self


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings()


def unknown_variables() -> dict[str, str]:
    """Variables with our prefix that are no setting, and the setting that is most like each."""
    known = [f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields]
    unknown = {
        name for name in os.environ if name.startswith(ENV_PREFIX) and name.upper() not in known
    }
    return {name: get_close_matches(name, known, n=1, cutoff=0)[0] for name in sorted(unknown)}


def describe_settings() -> str:
    """One line per setting: variable, default, meaning."""
    lines = []
    for name, info in Settings.model_fields.items():
        default = ",".join(info.default) if isinstance(info.default, tuple) else info.default
        lines.append(f"{ENV_PREFIX}{name.upper()} ({default!s}): {info.description}")
    return "\n\n".join(lines)
