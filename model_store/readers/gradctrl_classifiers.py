"""The released GradCtrl classifiers: a folder of `model.pth` and `model_params.pkl`.

Their polarity is implicit there: a positive logit is label 1. The names given here follow CelebA,
whose label 1 means that the attribute is present; callers can give others. Defaults of masks,
layers and steps are those of the released FFHQ, car and cat scripts (GradCtrl at ea9b570).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from editing import Head
from model_store.cards import NAME_PATTERN, AttributeCard, EditDefaults, Exclusion
from model_store.errors import CheckpointError
from model_store.files import map_file
from model_store.networks.tensors import Shapes, require_shapes
from model_store.readers.network_parts import load_tensors, raw_state
from model_store.readers.restricted_pickle import load_pickle
from model_store.readers.torch_files import read_torch

WEIGHTS_FILE = "model.pth"
NAMES_FILE = "model_params.pkl"
STEPS = 9
STEP_SIZE = 4 / 9  # total length 4.0
MAX_ATTRIBUTES = 256
_CLASSES: dict[str, tuple[str, str]] = {
    "gender": ("female", "male"),
    "smile": ("not_smiling", "smiling"),
    "eyeglasses": ("no_eyeglasses", "eyeglasses"),
    "age": ("old", "young"),
}
_FFHQ: dict[str, tuple[dict[str, int], tuple[int, int]]] = {
    "gender": ({"smile": 250, "eyeglasses": 100, "age": 100}, (2, 10)),
    "smile": ({"gender": 200, "eyeglasses": 50, "age": 100}, (2, 8)),
    "eyeglasses": ({"gender": 200, "smile": 100, "age": 250}, (1, 4)),
    "age": ({"gender": 100, "eyeglasses": 300}, (4, 10)),
}
_CAR_AND_CAT = {"sky_blue", "grassground", "treesbackground", "hubcap_dense", "color"}
_CAR_AND_CAT_LAYERS = (6, 14)
_PARTS = ("0.weight", "0.bias", "2.weight", "2.bias")


def read_gradctrl_classifiers(
    folder: Path, classes: Mapping[str, Sequence[str]] | None = None
) -> tuple[tuple[AttributeCard, ...], dict[str, Head]]:
    """Attributes, with the released defaults, and their heads; CheckpointError names what is wrong.

    `classes` names the classes of an attribute, the one of label 0 first.
    """
    names = _read_names(folder / NAMES_FILE)
    heads = dict(zip(names, _read_heads(folder / WEIGHTS_FILE, len(names)), strict=True))
    given = dict(classes or {})
    if unknown := sorted(given.keys() - heads.keys()):
        raise CheckpointError(f"classes: no attribute {unknown[0]!r}; there are {', '.join(names)}")
    attributes = tuple(
        AttributeCard(
            name=name,
            classes=_class_names(name, head.num_classes, given.get(name)),
            defaults=_defaults(name, names),
            labelled_by="the authors of GradCtrl",
        )
        for name, head in heads.items()
    )
    return attributes, heads


def _read_names(path: Path) -> list[str]:
    value = _within(path, lambda data: load_pickle(data, {})[0])
    names = value.get("attributes") if isinstance(value, dict) else None
    if not isinstance(names, str):
        raise CheckpointError(f"{path.name}: expected a dict with the names of attributes")
    if value.get("n_shared_layers", 0) != 0:
        raise CheckpointError(f"{path.name}: shared layers are not supported")
    found = names.split(",")
    if len(set(found)) != len(found) or len(found) > MAX_ATTRIBUTES:
        raise CheckpointError(f"{path.name}: attribute names must differ")
    for name in found:
        if not re.fullmatch(NAME_PATTERN, name):
            raise CheckpointError(f"{path.name}: {name[:80]!r} is not a name: a-z, 0-9, _ and -")
    return found


def _read_heads(path: Path, count: int) -> list[Head]:
    def load(data: memoryview) -> dict[str, Tensor]:
        return load_tensors(raw_state(read_torch(data), path.name), len(data))

    tensors = _within(path, load)
    first = tensors.get("classifiers.0.classifier.0.weight")
    if first is None or first.ndim != 2:
        raise CheckpointError(f"{path.name}: missing tensor 'classifiers.0.classifier.0.weight'")
    heads, shapes = [], Shapes()
    for i in range(count):
        prefix = f"classifiers.{i}.classifier"
        parts = [tensors.get(f"{prefix}.{n}.weight") for n in (0, 2)]
        hidden, logits = (0 if part is None or part.ndim != 2 else part.shape[0] for part in parts)
        shapes |= {
            f"{prefix}.0.weight": (hidden, first.shape[1]),
            f"{prefix}.0.bias": (hidden,),
            f"{prefix}.2.weight": (logits, hidden),
            f"{prefix}.2.bias": (logits,),
        }
    require_shapes(tensors, shapes)
    for i in range(count):
        layers = [tensors[f"classifiers.{i}.classifier.{part}"] for part in _PARTS]
        heads.append(Head(*layers))
    return heads


def _within(path: Path, read: Any) -> Any:
    """What `read` makes of a file's bytes; errors name the file."""
    try:
        return read(map_file(path))
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error


def _class_names(name: str, count: int, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is not None:
        if len(given) != count:
            raise CheckpointError(f"classes: {name} has {count} classes, {len(given)} were named")
        if len(set(given)) < count or not all(re.fullmatch(NAME_PATTERN, one) for one in given):
            raise CheckpointError(
                f"classes: {name}: expected different names of a-z, 0-9, _ and -, "
                f"got {', '.join(given)[:80]!r}"
            )
        return tuple(given)
    if count == 2:
        return _CLASSES.get(name, (f"not_{name}", name))
    return tuple(f"{name}_{k}" for k in range(count))


def _defaults(name: str, names: Sequence[str]) -> EditDefaults:
    layers: tuple[int, int] | None = None
    exclude: tuple[Exclusion, ...] = ()
    if _FFHQ.keys() <= set(names) and name in _FFHQ:
        masks, layers = _FFHQ[name]
        exclude = tuple(Exclusion(attribute=other, top_k=k) for other, k in masks.items())
    elif set(names) <= _CAR_AND_CAT:
        layers = _CAR_AND_CAT_LAYERS
    return EditDefaults(steps=STEPS, step_size=STEP_SIZE, exclude=exclude, layers=layers)
