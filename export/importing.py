"""`gradctrl import` and `gradctrl import-classifiers`: files of others into the store.

Knows nothing about formats: model_store's readers do, and none of them runs code of a file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from editing import Head
from export.errors import ImportFileError
from model_store import (
    NAME_PATTERN,
    AttributeCard,
    ModelCard,
    StoredModel,
    read_checkpoint,
    read_gradctrl_classifiers,
    read_heads,
    save_attributes,
    save_model,
)

RELEASED_FILE = "model.pth"


def import_checkpoint(
    file: Path, name: str, format: str | None = None, licence: str = "unknown"
) -> StoredModel:
    """Store a checkpoint of any supported format under a name; CheckpointError if it is none."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ImportFileError(f"--name: expected up to 64 of a-z, 0-9, _ and -, got {name!r}")
    generator = read_checkpoint(file, name, format, licence)
    return save_model(generator, generator.card, {})


def import_classifiers(
    folder: Path, model: StoredModel, classes: Mapping[str, Sequence[str]] | None = None
) -> StoredModel:
    """A new version of the model with the classifiers of a folder.

    Released GradCtrl classifiers (model.pth, model_params.pkl) or ours (NAME.safetensors beside
    NAME.json, as `gradctrl train --write-heads` writes them).
    """
    if (folder / RELEASED_FILE).is_file():
        attributes, heads = read_gradctrl_classifiers(folder, classes)
    elif classes:
        raise ImportFileError("--classes is for released GradCtrl classifiers: ours have names")
    else:
        attributes, heads = _read_own(folder)
    layers, channels = model.card.latent_shape
    for name, head in heads.items():
        if head.num_channels not in (channels, layers * channels):
            raise ImportFileError(
                f"{name} reads {head.num_channels} channels, "
                f"latents of {model.card.name} have {channels}"
            )
    fitted = [_fit_layers(attribute, model.card) for attribute in attributes]
    return save_attributes(model, fitted, heads)


def _read_own(folder: Path) -> tuple[tuple[AttributeCard, ...], dict[str, Head]]:
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1 or not found[0].with_suffix(".json").is_file():
        raise ImportFileError(
            f"{folder}: expected {RELEASED_FILE} and model_params.pkl, or one NAME.safetensors "
            "with its NAME.json"
        )
    try:
        entries = json.loads(found[0].with_suffix(".json").read_text())
        attributes = tuple(AttributeCard.model_validate(entry) for entry in entries)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ImportFileError(f"{found[0].stem}.json: {where}: {first['msg']}") from error
    except (TypeError, ValueError) as error:  # no list, broken JSON
        raise ImportFileError(f"{found[0].stem}.json: {error}") from error
    return attributes, read_heads(found[0], attributes)


def _fit_layers(attribute: AttributeCard, card: ModelCard) -> AttributeCard:
    """Default layers within the model's: classifiers of a larger model keep what is there."""
    layers, (count, _) = attribute.defaults.layers, card.latent_shape
    if layers is None:
        return attribute
    low, high = layers[0], min(layers[1], count)
    defaults = attribute.defaults.model_copy(update={"layers": (low, high) if low < high else None})
    return attribute.model_copy(update={"defaults": defaults})
