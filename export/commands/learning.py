"""Commands that learn from labelled banks."""

from pathlib import Path
from typing import Annotated

import torch
import typer

from export import training
from export.arguments import parse_names, split_names
from export.banks import open_bank_of
from export.commands.app import BankFolder, Name, app, console, progress_bar, resumable, warn
from export.encoder_training import EncoderOptions
from export.encoders import make_encoder
from export.labels import read_labels
from export.stopping import stop_on_signal
from export.teaching import TeachOptions, teach_model
from export.tuning import TuneOptions, store_tuned, tune_model
from model_store import StoredModel, find_model


@app.command()
def train(
    name: Name,
    bank_folder: BankFolder,
    per_class: Annotated[int, typer.Option(help="Labelled samples per class.", min=2)] = 30,
    attributes: Annotated[
        str, typer.Option(help="Attributes to train, comma-separated; default: all labelled.")
    ] = "",
    select: Annotated[
        str | None,
        typer.Option(
            help="Which samples: extremes (confident ones; default) or random (with --spread)."
        ),
    ] = None,
    spread: Annotated[
        bool,
        typer.Option(
            "--spread", help="Let images read by the labelled ones teach heads of all layers."
        ),
    ] = False,
    rounds: Annotated[
        int, typer.Option(help="With --spread: how often walks are read and learned from.", min=0)
    ] = TeachOptions.rounds,
    seed: Annotated[int, typer.Option(help="Seed of choices and restarts.", min=0)] = 0,
    write_heads: Annotated[
        Path | None, typer.Option(help="Also write NAME.safetensors and NAME.json here.")
    ] = None,
) -> None:
    """Train attribute heads on a labelled bank; store a new version of the model."""
    torch.set_num_threads(1)  # tiny matrices: a second thread makes this ten times slower
    model, samples = open_bank_of(bank_folder, name)
    model.expect_writable()
    labels = read_labels(bank_folder, model.card.attributes)
    wanted = {name: labels[name] for name in parse_names(attributes, list(labels))}
    selection = training.as_selection(select or ("random" if spread else "extremes"))
    with progress_bar() as progress:
        task = progress.add_task("training", total=None)

        def report(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        if spread:
            options = TeachOptions(per_class, selection, seed, rounds)
            trained = teach_model(model, samples, wanted, options, report)
        else:
            trained = training.train_model(
                model, samples, wanted, per_class, selection, seed, report
            )
    _print_trained(trained, model, per_class, spread)
    latest, _ = open_bank_of(bank_folder, name)  # another command may have stored a version
    stored = training.store_trained(latest, trained)
    for message in training.lost_methods(latest, stored):
        warn(message)
    if write_heads is not None:
        training.write_heads(stored, write_heads)
    console.print(f"stored {stored.tag}")


def _print_trained(
    trained: list[training.TrainedAttribute], model: StoredModel, per_class: int, spread: bool
) -> None:
    for one in trained:
        card = one.card
        accuracy = "-" if card.validation_accuracy is None else f"{card.validation_accuracy:.3f}"
        console.print(
            f"{card.name}: validation accuracy {accuracy} on {card.validation_samples} samples, "
            f"{one.remark}",
            soft_wrap=True,
        )
        for doubt in training.doubts(one, model, per_class, spread):
            warn(doubt)


@app.command()
def tune(
    name: Name,
    bank_folder: BankFolder,
    labeler: Annotated[
        str,
        typer.Option(
            "--with", help="Labelers that look at edits; default: images read by the bank's labels."
        ),
    ] = "",
    samples: Annotated[int, typer.Option(help="Validation images per attribute.", min=2)] = 30,
    attributes: Annotated[
        str, typer.Option(help="Comma-separated; default: all that are seen.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the validation images.", min=0)] = 0,
    write_heads: Annotated[
        Path | None, typer.Option(help="Also write NAME.safetensors and NAME.json here.")
    ] = None,
) -> None:
    """Choose exclusions, top-k, layers and steps by edits of validation images, and counter what
    such edits still do to other attributes; store them.
    """
    torch.set_num_threads(1)  # as train
    model, samples_of_bank = open_bank_of(bank_folder, name)
    model.expect_writable()
    with progress_bar() as progress:
        task = progress.add_task("tuning", total=None)
        tuned = tune_model(
            model,
            samples_of_bank,
            bank_folder,
            TuneOptions(
                samples,
                seed,
                split_names(labeler),
                split_names(attributes),
            ),
            lambda what, done, total: progress.update(
                task, description=what, completed=done, total=total
            ),
        )
    for one in tuned:
        console.print(f"{one.attribute.name}: {one.describe()}", soft_wrap=True)
    latest, _ = open_bank_of(bank_folder, name)  # as train
    stored = store_tuned(latest, tuned, warn)
    if write_heads is not None:
        training.write_heads(stored, write_heads)
    console.print(f"stored {stored.tag}")


@app.command("train-encoder")
def train_encoder_(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder of the run; default: .cache/encoder-NAME."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Dataset images: a folder, or .npy of uint8 [N, H, W, 3]."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps.", min=1)] = EncoderOptions.steps,
    latents_only: Annotated[
        float,
        typer.Option(help="Share of steps, the first, that do not render guesses.", min=0, max=1),
    ] = EncoderOptions.latents_only,
    batch: Annotated[int, typer.Option(help="Samples of a step.", min=1)] = EncoderOptions.batch,
    seed: Annotated[int, typer.Option(help="Seed of weights and samples.", min=0)] = 0,
    write_encoder: Annotated[
        Path | None, typer.Option(help="Also write NAME.safetensors and NAME.json here.")
    ] = None,
) -> None:
    """Train the encoder that guesses latents of images; run again to resume; store a version."""
    torch.set_num_threads(1)
    options = EncoderOptions(steps=steps, batch=batch, seed=seed, latents_only=latents_only)
    folder = Path(".cache") / f"encoder-{name.partition(':')[0]}" if output is None else output
    with resumable(), stop_on_signal() as should_stop, progress_bar() as progress:
        task = progress.add_task("training", total=steps)
        made = make_encoder(
            find_model(name),
            folder,
            options,
            images,
            write_encoder,
            lambda done, total, loss: progress.update(
                task, completed=done, description=f"training, loss {loss:.3f}"
            ),
            should_stop,
        )
    card = made.model.card.inversion
    assert card is not None
    console.print(
        f"encoder's mean error {made.mean_error:.4f}; inversions fail above {card.max_error:.4f}"
    )
    if made.mean_error > card.max_error:
        warn("inversions will fail that start from this encoder's guess; train it longer")
    console.print(f"stored {made.model.tag}")
