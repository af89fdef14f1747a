"""Local edits without a server: latents in, a film strip out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from editing import StackedHeads, Trajectory, walk_latents
from export.errors import ExportError
from export.sampling import sample_latents
from model_store import Generator, PlannedEdit, StoredModel, class_labels, to_pixels, walk_plan


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
    heads: StackedHeads


def load_local(model: StoredModel) -> LocalModel:
    """Generator and heads; ExportError for a model without attributes."""
    heads = model.stacked_heads()
    if heads is None:
        raise ExportError(f"{model.tag} has no attributes; train some with: gradctrl train")
    return LocalModel(model.generator(), heads)


def edit_seed(
    model: LocalModel,
    seed: int,
    edit: PlannedEdit,
    truncation: float,
    class_label: int | None = None,
) -> LocalEdit:
    """Walk from a seed and render every frame; PlanError without the label that a model needs."""
    generator, heads = model.generator, model.heads
    labels = class_labels(generator.card, class_label)
    with torch.inference_mode():
        latents = sample_latents(generator, [seed], truncation, labels)  # [1, L, C]
        plan, ranges = walk_plan([edit], latents.device)
        walked = walk_latents(heads, latents, plan, ranges)
        path = walked.trajectory
        if bool(path.refused[0]):
            raise ExportError("the exclusions leave no channel to move; lower their top_k")
        taken = int(path.steps_taken[0])
        frames = to_pixels(generator.synthesis(walked.latents[0, : taken + 1]))
    probabilities = path.probabilities[0, : taken + 1, edit.attribute, edit.target]
    return LocalEdit(frames, probabilities.numpy(), path)


def film_strip(frames: Sequence[np.ndarray], scale: int = 2) -> Image.Image:
    """Frames uint8 [H, W, 3] side by side, enlarged without smoothing."""
    strip = Image.fromarray(np.concatenate(list(frames), axis=1))
    return strip.resize((strip.width * scale, strip.height * scale), Image.Resampling.NEAREST)
