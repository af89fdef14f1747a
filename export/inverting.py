"""`gradctrl invert`: a photo in, its latent, square and reconstruction out. No server."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from editing import (
    InversionOptions,
    Problem,
    TuningOptions,
    advance,
    begin,
    found_latents,
    is_finished,
    measure,
)
from export.errors import ExportError
from model_store import (
    Inverter,
    StoredModel,
    first_guess,
    inversion_spaces,
    load_inverter,
    place,
    problem_of,
    read_photo,
    to_pixels,
    tune_generator,
)

MAX_PIXELS = 100_000_000
Progress = Callable[[int, int], None]  # steps done, steps in all


@dataclass(frozen=True)
class LocalInversion:
    """What was found for an image."""

    latents: Tensor  # [1, L, C]
    reconstruction: np.ndarray  # [R, R, 3], uint8
    error: float  # mean squared error, pixels 0..1
    feature_error: float | None
    steps: int
    inverter: Inverter  # with a generator of its own after pivotal tuning


def invert_file(
    model: StoredModel,
    photo: Path,
    output: Path,
    mode: str = "optimize",
    steps: int | None = None,
    space: str | None = None,
    align: bool = True,
    progress: Progress = lambda done, total: None,
) -> LocalInversion:
    """Invert a photo; write latent.npz, square.png and reconstruction.png."""
    inverter = load_inverter(model, model.generator(), torch.device("cpu"))
    if mode not in inverter.modes:
        raise ExportError(f"--mode must be one of {', '.join(inverter.modes)}, got {mode!r}")
    spaces = inversion_spaces(model.card)
    if space is not None and space not in spaces:
        raise ExportError(f"--space must be one of {', '.join(spaces)}, got {space!r}")
    target, _ = place(inverter, read_photo(photo.read_bytes(), MAX_PIXELS), align)
    found = invert_square(inverter, target, mode, steps, space, progress)
    output.mkdir(parents=True, exist_ok=True)
    Image.fromarray(target).save(output / "square.png")
    Image.fromarray(found.reconstruction).save(output / "reconstruction.png")
    latent = found.latents[0].numpy()
    np.savez(output / "latent.npz", latent=latent, space=model.card.edit_space)
    return found


def invert_square(
    inverter: Inverter,
    target: np.ndarray,  # [R, R, 3], uint8
    mode: str,
    steps: int | None = None,
    space: str | None = None,
    progress: Progress = lambda done, total: None,
) -> LocalInversion:
    """Invert what `place` made of a photo."""
    wanted = next(one for one in inversion_spaces(inverter.card) if space in (None, one))
    problem = problem_of(inverter, target, wanted)
    options = InversionOptions() if steps is None else InversionOptions(steps=steps)
    state = begin(problem, first_guess(inverter, problem))
    while mode != "encoder" and not is_finished(state, options):
        state = advance(problem, state, options, lambda: True)
        progress(state.step, options.steps)
    latents = found_latents(problem, state)
    taken = state.step
    if mode == "pivotal":
        inverter, tuning_steps = tune_generator(inverter, problem, latents, TuningOptions())
        taken += tuning_steps
    return _measured(inverter, problem, latents, taken)


def _measured(inverter: Inverter, problem: Problem, latents: Tensor, steps: int) -> LocalInversion:
    with torch.no_grad():
        images = inverter.generator.synthesis(latents)
    errors = measure(problem, images)
    return LocalInversion(
        latents,
        to_pixels(images)[0],
        float(errors.pixel[0]),
        None if errors.feature is None else float(errors.feature[0]),
        steps,
        inverter,
    )
