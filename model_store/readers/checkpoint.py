"""One door for every generator checkpoint: the format is found by content, never by name.

A pickle is run once on the restricted machine with the table of all its formats; what comes out
decides which reader takes it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_store.cards import Family, ModelCard, Provenance
from model_store.errors import CheckpointError
from model_store.files import map_file, sha256_of
from model_store.generators import Generator
from model_store.networks import (
    NetworkFacts,
    Stylegan1,
    Stylegan2,
    Stylegan3,
    stylegan1_facts,
    stylegan2_facts,
    stylegan3_facts,
)
from model_store.readers import genforce, nvidia_modules, rosinality, tensorflow
from model_store.readers.dcgan import dcgan_of_state, is_state, state_of
from model_store.readers.network_parts import NetworkParts
from model_store.readers.pickle_tables import STATE_DICTS, Stub
from model_store.readers.restricted_pickle import Table, load_pickle
from model_store.readers.stylegan1_tensorflow import read_stylegan1_tensorflow
from model_store.readers.stylegan2_nvidia import read_stylegan2_nvidia
from model_store.readers.stylegan2_tensorflow import read_stylegan2_tensorflow
from model_store.readers.stylegan3_nvidia import read_stylegan3_nvidia
from model_store.readers.torch_files import is_torch, read_torch

_PICKLES: Table = {**nvidia_modules.TABLE, **tensorflow.TABLE}
# What torch, numpy and pydantic raise for content that no check of ours foresaw.
_MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Format:
    """How the value inside a file is recognised and read."""

    recognises: Callable[[Any], bool]
    read: Callable[[Any, int], NetworkParts]  # the value and the file's bytes


def _nvidia(marker: str) -> Callable[[Any], bool]:
    """A module tree, under G_ema or alone, whose synthesis has a child of this name."""

    def recognises(value: Any) -> bool:
        synthesis = _child(_nvidia_root(value), "synthesis")
        return _child(synthesis, marker) is not None

    return recognises


def _nvidia_root(value: Any) -> Any:
    return value.get("G_ema") if isinstance(value, dict) else value


def _child(stub: Any, name: str) -> Any:
    modules = stub.get("_modules") if isinstance(stub, Stub) else None
    return modules.get(name) if isinstance(modules, dict) else None


def _tensorflow(marker: str) -> Callable[[Any], bool]:
    """Networks with a variable whose name has this part."""

    def recognises(value: Any) -> bool:
        found = value[2] if isinstance(value, tuple) and len(value) == 3 else value
        if not isinstance(found, Stub) or found.class_name != tensorflow.NETWORK:
            return False
        return any(marker in name for name in tensorflow.network_of(value).variables)

    return recognises


FORMATS: dict[str, Format] = {
    "stylegan2-pytorch": Format(
        _nvidia("b4"),
        lambda value, size: read_stylegan2_nvidia(
            nvidia_modules.flatten(_nvidia_root(value)), size
        ),
    ),
    "stylegan3-pytorch": Format(
        _nvidia("input"),
        lambda value, size: read_stylegan3_nvidia(
            nvidia_modules.flatten(_nvidia_root(value)), size
        ),
    ),
    "stylegan2-tensorflow": Format(
        _tensorflow("/mod_weight"),
        lambda value, size: read_stylegan2_tensorflow(tensorflow.network_of(value), size),
    ),
    "stylegan1-tensorflow": Format(
        _tensorflow("/StyleMod/"),
        lambda value, size: read_stylegan1_tensorflow(tensorflow.network_of(value), size),
    ),
    "rosinality": Format(
        lambda value: isinstance(value, dict) and "g_ema" in value, rosinality.read_rosinality
    ),
    "encoder": Format(
        lambda value: isinstance(value, dict) and rosinality.has_decoder(value),
        rosinality.read_encoder_decoder,
    ),
    "genforce": Format(
        lambda value: isinstance(value, dict) and genforce.generator_of(value) is not None,
        genforce.read_genforce,
    ),
}
DCGAN_FORMAT = "dcgan"


def read_checkpoint(
    path: Path | str,
    name: str | None = None,
    format: str | None = None,
    licence: str = "unknown",
) -> Generator:
    """The generator of any supported checkpoint, float32 on the CPU, with its card.

    Never runs code of the file. `format` (one of FORMATS or "dcgan") skips the detection. Raises
    CheckpointError that says what was found.
    """
    path = Path(path)
    allowed = [*FORMATS, DCGAN_FORMAT]
    if format is not None and format not in allowed:
        raise CheckpointError(f"format: {format!r} is not one of {', '.join(allowed)}")
    try:
        data = map_file(path)
        value = _open(data)
        return _generator(path, value, len(data), name or "model", format, licence)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error
    except _MALFORMED as error:
        kind = type(error).__name__
        raise CheckpointError(f"{path.name}: malformed content ({kind}: {error})") from error


def _open(data: memoryview) -> Any:
    """The value inside a torch file or a pickle."""
    if is_torch(data):
        return read_torch(data, STATE_DICTS)
    value, _ = load_pickle(data, _PICKLES)
    return value


def _generator(
    path: Path, value: Any, size: int, name: str, wanted: str | None, licence: str
) -> Generator:
    found = wanted or _recognise(value)
    if found == DCGAN_FORMAT:
        return dcgan_of_state(path, state_of(value, size), name, licence)
    if not FORMATS[found].recognises(value):
        raise CheckpointError(f"not a checkpoint of the format {found}")
    parts = FORMATS[found].read(value, size)
    facts = _FACTS[parts.family](parts.tensors, parts.options)
    if parts.resolution_claimed not in (None, facts.resolution):
        raise CheckpointError(
            f"the file claims {parts.resolution_claimed} px, its weights make {facts.resolution} px"
        )
    notes = f"{found} checkpoint" + (f"; {parts.notes}" if parts.notes else "")
    card = ModelCard(
        name=name,
        family=parts.family,
        resolution=facts.resolution,
        z_dim=facts.z_dim,
        w_dim=facts.w_dim,
        num_ws=facts.num_ws,
        c_dim=facts.c_dim,
        spaces=("w_plus",),
        truncation=parts.truncation,
        truncation_cutoff=parts.truncation_cutoff,
        network=asdict(parts.options),
        provenance=Provenance(
            source=path.name, source_sha256=sha256_of(path), licence=licence, notes=notes
        ),
    )
    return _GENERATORS[parts.family](card, parts.tensors, parts.options)


def _recognise(value: Any) -> str:
    for name, format in FORMATS.items():
        if format.recognises(value):
            return name
    if is_state(value):
        return DCGAN_FORMAT  # its reader says what does not fit
    raise CheckpointError(
        f"a {type(value).__name__} that is no generator; readable are {', '.join(FORMATS)} "
        f"and {DCGAN_FORMAT} checkpoints"
    )


_FACTS: dict[Family, Callable[..., NetworkFacts]] = {
    "stylegan1": stylegan1_facts,
    "stylegan2": stylegan2_facts,
    "stylegan3": stylegan3_facts,
}
_GENERATORS: dict[Family, Callable[..., Generator]] = {
    "stylegan1": Stylegan1,
    "stylegan2": Stylegan2,
    "stylegan3": Stylegan3,
}
