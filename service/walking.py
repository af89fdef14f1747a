"""Walks of many requests as one batch. Knows nothing about HTTP, processes or images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from editing import StackedHeads, Trajectory, latent_direction, latent_logits, walk_latents
from model_store import Mapper, PlannedEdit, start_latents, walk_plan
from service.errors import Refusal
from service.specs import WalkSpec


@dataclass(frozen=True)
class LoadedHeads:
    """What the ClassifierRunner holds of a model."""

    heads: StackedHeads
    mapper: Mapper  # seeds become latents here
    num_classes: tuple[int, ...]  # per attribute, in the order of the card


@dataclass
class _Progress:
    """The path of one request so far."""

    latents: list[Tensor]  # each [T, L, C]; first the start alone
    probabilities: list[Tensor] = field(default_factory=list)  # each [T, A, K]
    edits: list[dict[str, Any]] = field(default_factory=list)
    refusal: Refusal | None = None

    @property
    def last(self) -> Tensor:  # [L, C]
        return self.latents[-1][-1]


def walk_all(loaded: LoadedHeads, specs: Sequence[WalkSpec]) -> list[dict[str, Any]]:
    """One answer per spec: latents [F, L, C], probabilities [F, A, K], edits; or a refusal.

    The first frame is the unedited latent; edit e adds its steps_taken frames. A frame's
    probabilities are those of the point that stops the walk and that `reached` speaks of: all
    layers or, for heads that read one, the mean of the layers that its edit moves (of the first
    edit for the first frame).
    """
    paths = [_Progress([_start(loaded, spec)]) for spec in specs]
    for turn in range(max(len(spec.edits) for spec in specs)):
        walking = [
            n for n, spec in enumerate(specs) if turn < len(spec.edits) and not paths[n].refusal
        ]
        if walking:
            edits = [specs[n].edits[turn] for n in walking]
            _take_turn(loaded, [paths[n] for n in walking], edits, turn)
    return [_answer(path, loaded.num_classes) for path in paths]


def score_all(loaded: LoadedHeads, latents: np.ndarray) -> np.ndarray:
    """Probabilities [N, A, K] of latents [N, L, C]."""
    logits = latent_logits(loaded.heads, _to_heads(loaded, torch.tensor(latents)))
    return logits.softmax(dim=2).cpu().numpy()


def find_direction(loaded: LoadedHeads, spec: WalkSpec) -> dict[str, Any]:
    """The first direction of a spec's only edit, as many channels as heads read, or a refusal."""
    latent = _start(loaded, spec)
    plan, ranges = walk_plan(spec.edits, latent.device)
    found = latent_direction(loaded.heads, latent, plan, ranges)
    if not bool(found.kept_norm[0] > 0):
        return _nothing_left(0, 0).as_payload()
    return {
        "direction": found.direction[0].cpu().numpy(),
        "masked_channels": int(found.masked_channels[0]),
        "kept_norm": float(found.kept_norm[0]),
    }


def _start(loaded: LoadedHeads, spec: WalkSpec) -> Tensor:  # [1, L, C]
    return _to_heads(loaded, start_latents(loaded.mapper, spec.start))


def _to_heads(loaded: LoadedHeads, latents: Tensor) -> Tensor:
    weight = loaded.heads.hidden_weight
    return latents.to(weight.device, weight.dtype)


def _take_turn(
    loaded: LoadedHeads, paths: Sequence[_Progress], edits: Sequence[PlannedEdit], turn: int
) -> None:
    latents = torch.stack([path.last for path in paths])
    plan, ranges = walk_plan(edits, latents.device)
    walked = walk_latents(loaded.heads, latents, plan, ranges)
    found = walked.trajectory
    for n, (path, edit) in enumerate(zip(paths, edits, strict=True)):
        taken = int(found.steps_taken[n])
        if bool(found.refused[n]):
            path.refusal = _nothing_left(turn, taken)
            continue
        path.edits.append(_report(found, n, edit))
        if turn == 0:
            path.probabilities.append(found.probabilities[n, :1])
        if taken:
            path.latents.append(walked.latents[n, 1 : taken + 1])
            path.probabilities.append(found.probabilities[n, 1 : taken + 1])


def _report(found: Trajectory, n: int, edit: PlannedEdit) -> dict[str, Any]:
    taken = int(found.steps_taken[n])
    final = found.probabilities[n, taken, edit.attribute]
    probability = float(final[edit.target])
    stops = edit.stop_probability <= 1
    return {
        "reached": int(final.argmax()) == edit.target
        and (not stops or probability >= edit.stop_probability),
        "steps_taken": taken,
        "masked_channels": int(found.masked_channels[n]),
        "kept_norm": float(found.kept_norm[n]),
    }


def _nothing_left(turn: int, step: int) -> Refusal:
    return Refusal(
        "no_editable_channels",
        f"the exclusions leave no channel to move at step {step}; lower their top_k",
        f"edits[{turn}].exclude",
    )


def _answer(path: _Progress, num_classes: tuple[int, ...]) -> dict[str, Any]:
    if path.refusal is not None:
        return path.refusal.as_payload()
    return {
        "latents": torch.cat(path.latents).float().cpu().numpy(),
        "probabilities": torch.cat(path.probabilities).float().cpu().numpy(),
        "edits": path.edits,
    }
