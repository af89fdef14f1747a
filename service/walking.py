"""Walks of many requests as one batch. Knows nothing about HTTP, processes or images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from editing import (
    StackedHeads,
    Trajectory,
    Walk,
    latent_direction,
    latent_logits,
    walk,
    walk_latents,
)
from model_store import (
    DEFAULT_METHOD,
    Mapper,
    PlannedEdit,
    Repertoire,
    start_latents,
    walk_by_method,
    walk_plan,
)
from service.errors import Refusal
from service.specs import WalkSpec

_HOST = torch.device("cpu")  # where plans are read and paths are kept


@dataclass(frozen=True, eq=False)  # equal to itself alone: walks of one are batched together
class LoadedHeads:
    """What the ClassifierRunner holds of a model."""

    heads: StackedHeads
    mapper: Mapper  # seeds become latents here
    num_classes: tuple[int, ...]  # per attribute, in the order of the card
    repertoire: Repertoire  # what the other methods need
    walk: Walk = walk


@dataclass
class _Progress:
    """The path of one request so far, on the host: what it took a walk is read once."""

    latents: list[Tensor]  # each [T, L, C]; first the start alone
    probabilities: list[Tensor] = field(default_factory=list)  # each [T, A, K]; NaN: unreadable
    styles: list[Tensor] = field(default_factory=list)  # each [T, S], of the last frames
    edits: list[dict[str, Any]] = field(default_factory=list)
    refusal: Refusal | None = None

    @property
    def last(self) -> Tensor:  # [L, C]
        return self.latents[-1][-1]


def walk_all(loaded: LoadedHeads, specs: Sequence[WalkSpec]) -> list[dict[str, Any]]:
    """One answer per spec: latents [F, L, C], probabilities [F, A, K], styles, edits; or a refusal.

    `styles` are offsets [F, S], or None where no edit moves styles. Heads cannot read what they
    change: such frames have NaN for probabilities, and the edit's `reached` is None.

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
        by_default = [n for n in walking if specs[n].edits[turn].method == DEFAULT_METHOD]
        if by_default:
            edits = [specs[n].edits[turn] for n in by_default]
            _take_turn(loaded, [paths[n] for n in by_default], edits, turn)
        for n in walking:
            if n not in by_default:
                _take_other_turn(loaded, paths[n], specs[n].edits[turn], turn)
    return [_answer(path, loaded.num_classes) for path in paths]


def score_all(loaded: LoadedHeads, latents: np.ndarray) -> np.ndarray:
    """Probabilities [N, A, K] of latents [N, L, C]."""
    logits = latent_logits(loaded.heads, _to_heads(loaded, torch.tensor(latents)))
    return logits.softmax(dim=2).cpu().numpy()


def find_direction(loaded: LoadedHeads, spec: WalkSpec) -> dict[str, Any]:
    """The first direction of a spec's only edit, as many channels as heads read, or a refusal.

    Masked, and within its layers: what a walk adds against side effects is neither.
    """
    plan, ranges = walk_plan([replace(edit, pulls=()) for edit in spec.edits], _HOST)
    latent = _to_heads(loaded, _start(loaded, spec))
    found = latent_direction(loaded.heads, latent, plan, ranges)
    if not bool(found.kept_norm[0] > 0):
        return _nothing_left("", 0, spec.edits[0]).as_payload()
    return {
        "direction": found.direction[0].cpu().numpy(),
        "masked_channels": int(found.masked_channels[0]),
        "kept_norm": float(found.kept_norm[0]),
    }


def _start(loaded: LoadedHeads, spec: WalkSpec) -> Tensor:  # [1, L, C], on the host
    dtype = loaded.heads.hidden_weight.dtype
    return start_latents(loaded.mapper, spec.start).to(_HOST, dtype)


def _to_heads(loaded: LoadedHeads, latents: Tensor) -> Tensor:
    weight = loaded.heads.hidden_weight
    return latents.to(weight.device, weight.dtype)


def _take_turn(
    loaded: LoadedHeads, paths: Sequence[_Progress], edits: Sequence[PlannedEdit], turn: int
) -> None:
    latents = _to_heads(loaded, torch.stack([path.last for path in paths]))
    plan, ranges = walk_plan(edits, _HOST)
    walked = walk_latents(loaded.heads, latents, plan, ranges, loaded.walk)
    moved, found = walked.latents.to(_HOST), walked.trajectory.to(_HOST)
    for n, (path, edit) in enumerate(zip(paths, edits, strict=True)):
        _extend(path, found, n, moved[n], edit, turn)


def _take_other_turn(loaded: LoadedHeads, path: _Progress, edit: PlannedEdit, turn: int) -> None:
    walked = walk_by_method(loaded.repertoire, _to_heads(loaded, path.last), edit)
    found = walked.trajectory.to(_HOST)
    _extend(path, found, 0, walked.latents.to(_HOST), edit, turn)
    taken = int(found.steps_taken[0])
    if walked.styles is None or path.refusal:
        return
    path.edits[-1]["reached"] = None
    if taken:
        styles = walked.styles.to(_HOST)
        before = path.styles[-1][-1] if path.styles else torch.zeros_like(styles[0])
        path.styles.append(before + styles[1 : taken + 1])
        path.probabilities[-1] = torch.full_like(path.probabilities[-1], torch.nan)


def _extend(
    path: _Progress,
    found: Trajectory,
    n: int,  # the sample of the batch
    latents: Tensor,  # [T, L, C]
    edit: PlannedEdit,
    turn: int,
) -> None:
    """Add an edit to a path, or its refusal."""
    taken = int(found.steps_taken[n])
    if bool(found.refused[n]):
        path.refusal = _nothing_left(f"edits[{turn}].", taken, edit)
        return
    path.edits.append(_report(found, n, edit))
    if turn == 0:
        path.probabilities.append(found.probabilities[n, :1])
    if taken:
        path.latents.append(latents[1 : taken + 1])
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


def _nothing_left(prefix: str, step: int, edit: PlannedEdit) -> Refusal:
    """The refusal of an edit whose fields lie at `prefix` in the request."""
    if edit.method == DEFAULT_METHOD:
        message = f"the exclusions leave no channel to move at step {step}; lower their top_k"
        return Refusal("no_editable_channels", message, f"{prefix}exclude")
    message = (
        f"{edit.method} has nothing to follow at step {step}: the exclusions mask every channel, "
        "or the gradient vanished because the head is sure"
    )
    return Refusal("no_editable_channels", message, f"{prefix}method")


def _answer(path: _Progress, num_classes: tuple[int, ...]) -> dict[str, Any]:
    if path.refusal is not None:
        return path.refusal.as_payload()
    latents = torch.cat(path.latents)
    return {
        "latents": latents.float().cpu().numpy(),
        "probabilities": torch.cat(path.probabilities).float().cpu().numpy(),
        "styles": _styles(path, len(latents)),
        "edits": path.edits,
    }


def _styles(path: _Progress, frames: int) -> np.ndarray | None:  # [F, S]
    """Offsets of every frame: none before the first edit that moves styles."""
    if not path.styles:
        return None
    moved = torch.cat(path.styles)
    still = moved.new_zeros(frames - len(moved), moved.shape[1])
    return torch.cat([still, moved]).float().cpu().numpy()
