"""Commands that make images: of seeds, of edits, of photos."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image

from export.arguments import (
    expect_image_file,
    parse_exclude,
    parse_layers,
    parse_method,
    parse_seeds,
)
from export.commands.app import ClassLabel, Name, Output, Truncation, app, console, progress_bar
from export.inverting import invert_file
from export.sampling import sample_latents
from export.strips import edit_seed, film_strip, load_local
from model_store import (
    DEFAULT_METHOD,
    METHODS,
    MODES,
    STYLE_METHODS,
    EditKnobs,
    class_labels,
    find_model,
    method_offers,
    plan_by_method,
    to_pixels,
)


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
    with progress_bar() as progress:
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
    output: Annotated[Path, typer.Option("-o", "--output", help="Image file to write.")] = Path(
        "strip.png"
    ),
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
    expect_image_file(output)
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
def invert(
    name: Name,
    photo: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.")],
    output: Output,
    mode: Annotated[str, typer.Option(help=f"One of: {', '.join(MODES)}.")] = "optimize",
    steps: Annotated[int | None, typer.Option(help="Of the search, at most.", min=1)] = None,
    space: Annotated[str | None, typer.Option(help="w, w_plus or z; default: the model's.")] = None,
    align: Annotated[bool, typer.Option(help="Cut the photo around its face.")] = True,
) -> None:
    """The latent of a photo (.npz), the square that was inverted, and its reconstruction."""
    torch.set_num_threads(1)
    with progress_bar() as progress:
        task = progress.add_task("inverting", total=None)
        found = invert_file(
            find_model(name),
            photo,
            output,
            mode,
            steps,
            space,
            align,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    console.print(
        f"mean squared error {found.error:.5f} after {found.steps} steps; wrote {output}",
        soft_wrap=True,
    )
