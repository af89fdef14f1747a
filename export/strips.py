"""Local edits without a server: latents in, a film strip out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from editing import StackedHeads, Trajectory, walk_latents
from export.errors import ExportError
from export.sampling import sample_latents
from model_store import (
    DEFAULT_METHOD,
    Generator,
    MethodWalk,
    PlannedEdit,
    Repertoire,
    StoredModel,
    class_labels,
    load_repertoire,
    synthesise_edited,
    to_pixels,
    walk_by_method,
    walk_plan,
)


@dataclass(frozen=True)
class LocalEdit:
    """Frames of one edit, the unedited one first."""

    frames: np.ndarray  # [T, H, W, 3], uint8
    probabilities: np.ndarray  # [T], of the target class
    trajectory: Trajectory  # batch of one


@dataclass(frozen=True)
class LocalModel:
    """A model in this process, float32 on the CPU."""

    generator: Generator
    repertoire: Repertoire

    @property
    def heads(self) -> StackedHeads:
        """The heads that the default method follows."""
        return self.repertoire.heads


def load_local(model: StoredModel) -> LocalModel:
    """Generator, heads and directions; ModelStoreError for a model without attributes."""
    return LocalModel(model.generator(), load_repertoire(model, torch.device("cpu")))


def edit_seed(
    model: LocalModel,
    seed: int,
    edit: PlannedEdit,
    truncation: float,
    class_label: int | None = None,
) -> LocalEdit:
    """Walk from a seed and render every frame; PlanError without the label that a model needs."""
    generator = model.generator
    labels = class_labels(generator.card, class_label)
    with torch.inference_mode():
        latents = sample_latents(generator, [seed], truncation, labels)  # [1, L, C]
        walked = _walk(model.repertoire, latents[0], edit)
        path = walked.trajectory
        if bool(path.refused[0]):
            raise ExportError("the exclusions leave no channel to move; lower their top_k")
        shown = slice(0, int(path.steps_taken[0]) + 1)
        offsets = None if walked.styles is None else walked.styles[shown]
        frames = to_pixels(synthesise_edited(generator, walked.latents[shown], offsets))
    probabilities = path.probabilities[0, shown, edit.attribute, edit.target]
    return LocalEdit(frames, probabilities.numpy(), path)


def _walk(repertoire: Repertoire, start: torch.Tensor, edit: PlannedEdit) -> MethodWalk:
    """The walk of an edit from a latent [L, C], by the method that was planned."""
    if edit.method != DEFAULT_METHOD:
        return walk_by_method(repertoire, start, edit)
    plan, ranges = walk_plan([edit], start.device)
    walked = walk_latents(repertoire.heads, start[None], plan, ranges)
    return MethodWalk(walked.latents[0], None, walked.trajectory)


def film_strip(frames: Sequence[np.ndarray], scale: int = 2) -> Image.Image:
    """Frames uint8 [H, W, 3] side by side, enlarged without smoothing."""
    strip = Image.fromarray(np.concatenate(list(frames), axis=1))
    return strip.resize((strip.width * scale, strip.height * scale), Image.Resampling.NEAREST)
