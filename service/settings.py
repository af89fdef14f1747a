"""Settings of the service: environment variables GRADCTRL_*, read here and nowhere else."""

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV_PREFIX = "GRADCTRL_"


class Settings(BaseSettings):
    """Every knob of the running service."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True)

    models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="models to serve, comma-separated names or name:version; "
        "the first is the default of requests; empty serves every model in the store",
    )
    device: str = Field(
        default="auto", description="torch device of both runners: auto, cpu, cuda or cuda:N"
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="dtype of the synthesis; walks are always float32"
    )
    max_batch_size: int = Field(
        default=64, ge=1, le=4096, description="frames rendered together, latents walked together"
    )
    max_batch_wait_ms: float = Field(
        default=0.0, ge=0, le=1000, description="how long an idle runner waits to fill a batch"
    )
    max_queue: int = Field(
        default=4096, ge=1, description="frames or latents waiting in a runner before it refuses"
    )
    max_upload_bytes: int = Field(
        default=10_000_000, ge=1024, description="largest request body, bytes"
    )
    max_in_flight: int = Field(
        default=256, ge=1, description="requests worked on at once before the API refuses"
    )
    timeout_s: float = Field(
        default=60.0, gt=0, le=600, description="longest time for one request, seconds"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="origins that browsers may call from, comma-separated; none"
    )

    @field_validator("models", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings()


def describe_settings() -> str:
    """One line per setting: variable, default, meaning."""
    lines = []
    for name, info in Settings.model_fields.items():
        default = ",".join(info.default) if isinstance(info.default, tuple) else info.default
        lines.append(f"{ENV_PREFIX}{name.upper()} ({default!s}): {info.description}")
    return "\n\n".join(lines)
