"""Models in the BentoML store: one entry per model, `gradctrl-<name>:<version>`.

The version is a hash of the card, and the card holds the hashes of all files: saving the same
model twice gives the same entry. Knows nothing about training or serving.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import bentoml
import torch
from bentoml.exceptions import BentoMLException, NotFound
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from editing import Head, StackedHeads
from model_store.cards import AttributeCard, Family, InversionCard, ModelCard
from model_store.classifiers import read_heads, save_heads, stack_by_card, with_equal_reach
from model_store.errors import (
    CheckpointError,
    CorruptModelError,
    EmptyStoreError,
    UnknownModelError,
)
from model_store.files import sha256_of, write_tensors
from model_store.generators import Generator, Mapper
from model_store.networks import (
    MAPPING_PREFIX,
    MappingNetwork,
    MappingOptions,
    dcgan_from_state,
    stylegan1_from_state,
    stylegan2_from_state,
    stylegan3_from_state,
)

TAG_PREFIX = "gradctrl-"
DEFAULT_MODEL = "avatars"  # of a service that is not told what to serve
CARD_FILE = "card.json"
GENERATOR_FILE = "generator.safetensors"
CLASSIFIERS_FILE = "classifiers.safetensors"
ONE_LAYER_FILE = "one_layer_classifiers.safetensors"  # of the released method, beside others
DISCRIMINATOR_FILE = "discriminator.safetensors"
ENCODER_FILE = "encoder.safetensors"
_VERSION_DIGITS = 12
_NETWORKS: dict[Family, Callable[[ModelCard, dict[str, Tensor]], Generator]] = {
    "dcgan": dcgan_from_state,
    "stylegan1": stylegan1_from_state,
    "stylegan2": stylegan2_from_state,
    "stylegan3": stylegan3_from_state,
}


@dataclass(frozen=True)
class StoredModel:
    """An entry whose files have the hashes of its card."""

    tag: str  # gradctrl-<name>:<version>
    path: Path
    card: ModelCard

    @property
    def version(self) -> str:
        """The part of the tag after the colon."""
        return self.tag.partition(":")[2]

    def expect_writable(self) -> None:
        """OSError where no new version can be stored beside it: ask before hours of work."""
        with tempfile.TemporaryFile(dir=self.path.parent):
            pass

    def generator(self) -> Generator:
        """The generator, float32 on the CPU."""
        try:
            state = load_file(self.path / GENERATOR_FILE)
            return generator_of(self.card, state)
        except (
            OSError,
            SafetensorError,
            KeyError,
            ValidationError,
            CheckpointError,
        ) as error:
            raise CorruptModelError(f"{self.tag}: {GENERATOR_FILE}: {error}") from error

    def mapper(self) -> Mapper:
        """What maps z to latents: of a StyleGAN its mapping alone, without the synthesis."""
        if self.card.num_ws is None:
            return self.generator()
        try:
            with safe_open(self.path / GENERATOR_FILE, framework="pt") as file:
                names = [name for name in file.keys() if name.startswith(MAPPING_PREFIX)]  # noqa: SIM118
                tensors = {name: file.get_tensor(name) for name in names}
            options = TypeAdapter(MappingOptions).validate_python(
                self.card.network.get("mapping", {})
            )
            return MappingNetwork(self.card, tensors, options, self.card.num_ws)
        except (OSError, SafetensorError, ValidationError, CheckpointError) as error:
            raise CorruptModelError(f"{self.tag}: {GENERATOR_FILE}: {error}") from error

    def heads(self) -> dict[str, Head]:
        """Heads by attribute name; empty for a model without classifiers."""
        if not self.card.attributes:
            return {}
        return read_heads(self.path / CLASSIFIERS_FILE, self.card.attributes)

    def stacked_heads(self) -> StackedHeads | None:
        """All heads as one batch, in the order of the card; None without classifiers."""
        return stack_by_card(self.heads(), self.card.attributes) if self.card.attributes else None

    def one_layer_heads(self) -> StackedHeads | None:
        """Heads that read one layer, as the released method needs them; None where there are none.

        A model whose heads read all layers may hold such heads beside them.
        """
        if self.card.heads_read == "one_layer":
            return self.stacked_heads()
        if ONE_LAYER_FILE not in self.card.files:
            return None
        heads = read_heads(self.path / ONE_LAYER_FILE, self.card.attributes)
        return stack_by_card(heads, self.card.attributes)


def generator_of(card: ModelCard, tensors: Mapping[str, Tensor]) -> Generator:
    """The network of a card with these tensors, float32, where they are."""
    return _NETWORKS[card.family](card, dict(tensors))


def save_inversion(
    model: StoredModel, inversion: InversionCard, files: Mapping[str, Path]
) -> StoredModel:
    """A new version of the model: with these files, which replace those of the same name."""
    return save_files(model, files, model.card.model_copy(update={"inversion": inversion}))


def save_files(
    model: StoredModel, files: Mapping[str, Path], card: ModelCard | None = None
) -> StoredModel:
    """A new version of the model: with these files, which replace those of the same name."""
    others = model.card.files.keys() - {GENERATOR_FILE, CLASSIFIERS_FILE}
    kept = {name: model.path / name for name in others}
    return save_model(model.generator(), card or model.card, model.heads(), {**kept, **files})


def save_model(
    generator: Generator,
    card: ModelCard,
    heads: Mapping[str, Head],
    others: Mapping[str, Path] = MappingProxyType({}),  # further files by their name in the entry
) -> StoredModel:
    """Store a model as the latest version of its name; `card.files` is filled in here."""
    with tempfile.TemporaryDirectory(prefix="gradctrl-") as folder:
        staged = Path(folder)
        write_tensors(generator.state(), staged / GENERATOR_FILE)
        if card.attributes:
            own, heads_read = with_equal_reach(
                {a.name: heads[a.name] for a in card.attributes}, card
            )
            card = card.model_copy(update={"heads_read": heads_read})
            dtype = torch.float16 if heads_read == "all_layers" else torch.float32
            save_heads(own, staged / CLASSIFIERS_FILE, dtype)
        for name, path in others.items():
            shutil.copyfile(path, staged / name)
        files = {path.name: sha256_of(path) for path in sorted(staged.iterdir())}
        card = card.model_copy(update={"files": files})
        text = card.model_dump_json(indent=2)
        _expect_valid(text)
        (staged / CARD_FILE).write_text(text)
        version = hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS]
        tag = f"{TAG_PREFIX}{card.name}:{version}"
        _register(tag, card, staged)
    return find_model(tag)


def save_attributes(
    model: StoredModel, attributes: Iterable[AttributeCard], heads: Mapping[str, Head]
) -> StoredModel:
    """A new version of the model: these attributes replace those of the same name.

    Heads of one layer stay beside those of all layers where every attribute has one of its
    classes; without that the new version lacks the released method. Side effects on an attribute
    with a new head were measured with the head before and are left out.
    """
    cards = {one.name: _without_effects_on(heads, one) for one in model.card.attributes}
    cards |= {attribute.name: attribute for attribute in attributes}
    card = model.card.model_copy(update={"attributes": tuple(cards.values())})
    own = {**model.heads(), **heads}
    others = model.card.files.keys() - {GENERATOR_FILE, CLASSIFIERS_FILE, ONE_LAYER_FILE}
    kept = {name: model.path / name for name in others}
    with tempfile.TemporaryDirectory(prefix="gradctrl-") as folder:
        narrow = _one_layer_heads(model, card, heads)
        if narrow is not None and with_equal_reach(own, card)[1] == "all_layers":
            kept[ONE_LAYER_FILE] = Path(folder) / ONE_LAYER_FILE
            save_heads(narrow, kept[ONE_LAYER_FILE])
        return save_model(model.generator(), card, own, kept)


def _without_effects_on(names: Container[str], attribute: AttributeCard) -> AttributeCard:
    kept = tuple(one for one in attribute.side_effects if one.attribute not in names)
    return attribute.with_side_effects(kept)


def _one_layer_heads(
    model: StoredModel, card: ModelCard, heads: Mapping[str, Head]
) -> dict[str, Head] | None:
    """The model's heads of one layer, and those among new ones, for every attribute of a card.

    None where an attribute has none, or its classes are no longer those of its head.
    """
    _, channels = card.latent_shape
    found: dict[str, Head] = {}
    if model.card.heads_read == "one_layer":
        found = model.heads()
    elif ONE_LAYER_FILE in model.card.files:
        found = read_heads(model.path / ONE_LAYER_FILE, model.card.attributes)
    known = {attribute.name: attribute.classes for attribute in model.card.attributes}
    fitting = {one.name for one in card.attributes if known.get(one.name) == one.classes}
    found = {name: head for name, head in found.items() if name in fitting}
    found |= {name: head for name, head in heads.items() if head.num_channels == channels}
    return found if found.keys() == {one.name for one in card.attributes} else None


def find_model(name: str) -> StoredModel:
    """A model by name (its latest version), `name:version` or full tag, hashes verified."""
    tag = name if name.startswith(TAG_PREFIX) else f"{TAG_PREFIX}{name}"
    try:
        entry = bentoml.models.get(tag)
    except (NotFound, BentoMLException, ValueError) as error:
        known = sorted(model.card.name for model in list_models())
        raise UnknownModelError(
            f"no model {name!r} in the store; it holds {known or 'none'}"
        ) from error
    return _verified(str(entry.tag), Path(entry.path))


def list_models() -> list[StoredModel]:
    """The latest version of every model, `avatars` first, then by name; hashes are not checked."""
    names = {entry.tag.name for entry in bentoml.models.list()}
    own = sorted(name for name in names if name.startswith(TAG_PREFIX))
    own.sort(key=lambda name: name != f"{TAG_PREFIX}{DEFAULT_MODEL}")  # the default comes first
    latest = [bentoml.models.get(name) for name in own]
    return [
        StoredModel(str(entry.tag), Path(entry.path), _read_card(Path(entry.path)))
        for entry in latest
    ]


def models_to_serve(names: tuple[str, ...]) -> list[StoredModel]:
    """The named models, or all of them; EmptyStoreError says how to get one."""
    if names:
        return [find_model(name) for name in names]
    stored = list_models()
    if not stored:
        raise EmptyStoreError("the model store is empty; run: gradctrl fetch avatars")
    return [find_model(model.tag) for model in stored]


def _expect_valid(card: str) -> None:
    """CorruptModelError for a card that could not be read back; copies are not validated."""
    try:
        ModelCard.model_validate_json(card)
    except ValidationError as error:
        raise CorruptModelError(f"the card: {error.errors()[0]['msg']}") from error


def _register(tag: str, card: ModelCard, staged: Path) -> None:
    """Copy staged files into the BentoML store; an identical older entry is replaced."""
    labels = {"family": card.family, "resolution": str(card.resolution)}
    with bentoml.models.create(tag, labels=labels) as entry:
        for path in staged.iterdir():
            Path(entry.path_of(path.name)).write_bytes(path.read_bytes())
        # Once all is written: a full disk must not cost the entry that is there.
        with suppress(NotFound):
            bentoml.models.delete(tag)  # so that it becomes the latest again


def _read_card(folder: Path) -> ModelCard:
    try:
        return ModelCard.model_validate_json((folder / CARD_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise CorruptModelError(f"{folder}: {CARD_FILE}: {error}") from error


def _verified(tag: str, folder: Path) -> StoredModel:
    card = _read_card(folder)
    for name, expected in card.files.items():
        path = folder / name
        if not path.is_file():
            raise CorruptModelError(f"{tag}: {name} is missing")
        if (found := sha256_of(path)) != expected:
            raise CorruptModelError(
                f"{tag}: {name} has sha256 {found}, its card says {expected}; "
                "delete the entry and store the model again"
            )
    return StoredModel(tag, folder, card)
