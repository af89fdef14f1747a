"""Commands that compare the method with others."""

from typing import Annotated

import torch
import typer

from export.arguments import split_names
from export.baselines import DirectionOptions, store_directions
from export.commands.app import BankFolder, Name, Output, Truncation, app, console, progress_bar
from export.evaluation import PROTOCOLS, EvaluationOptions, Judges
from export.evaluation import evaluate as run_evaluation
from export.labeling import embed_celeba_faces
from model_store import BASELINES


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
    with progress_bar() as progress:
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
    step_size: Annotated[
        float | None,
        typer.Option(help="L2 length of these steps; default: of the card.", min=1e-3),
    ] = None,
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
        step_size,
        seed,
        truncation,
    )
    options = options if ablations else options.without_ablations()
    options = options.quick() if quick else options
    embed = embed_celeba_faces if identity else None
    judges = Judges(split_names(judge), split_names(second), embed)
    with progress_bar() as progress:
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
