"""One edit of one sample by a method other than the default, told as the default walk is.

Knows no names but those of methods, and nothing about HTTP. Scores are always those of the model's
own heads, whatever the method follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from editing import (
    EditSettings,
    Method,
    Path,
    StackedHeads,
    Trajectory,
    WalkReport,
    class_probabilities,
    point_of,
)
from editing.baselines import StyleWalk
from model_store.cards import ModelCard
from model_store.directions import STYLE_METHODS, Directions, stored_directions
from model_store.errors import ModelStoreError
from model_store.methods import RELEASED_METHODS, baseline_walk
from model_store.plans import PlannedEdit
from model_store.store import StoredModel


@dataclass(frozen=True)
class Repertoire:
    """What the methods of a model need, loaded."""

    card: ModelCard
    heads: StackedHeads  # whose scores count
    one_layer: StackedHeads | None  # what the released methods follow
    directions: Mapping[tuple[str, str], Directions]  # by method and attribute


@dataclass(frozen=True)
class MethodWalk:
    """Where one sample went."""

    latents: Tensor  # [T, L, C], the first is the start
    styles: Tensor | None  # [T, S], offsets in style space, else None
    trajectory: Trajectory  # batch of one; steps_taken is where the edit ends


def load_repertoire(model: StoredModel, device: torch.device) -> Repertoire:
    """Heads and directions on a device, float32; ModelStoreError for a model without heads."""
    heads, one_layer = model.stacked_heads(), model.one_layer_heads()
    if heads is None:
        raise ModelStoreError(f"{model.tag} has no attributes; train some with: gradctrl train")
    return Repertoire(
        model.card,
        heads.to(device, torch.float32),
        None if one_layer is None else one_layer.to(device, torch.float32),
        {(one.method, one.attribute): _on(one, device) for one in stored_directions(model)},
    )


def walk_by_method(repertoire: Repertoire, start: Tensor, edit: PlannedEdit) -> MethodWalk:
    """The walk of a planned edit from a latent [L, C].

    A line with a stop rule ends where the heads give the target that probability.
    """
    target = torch.tensor([edit.target], device=start.device)
    method = _method_of(repertoire, edit)
    path = method.path(start[None], edit.attribute, target, edit.steps)
    found = _trajectory(repertoire.heads, path, edit)
    if path.report is not None and found.steps_taken < path.report.steps_taken:
        # Again until there, so that what was masked is told of the steps that count.
        path = method.path(start[None], edit.attribute, target, int(found.steps_taken))
        found = _trajectory(repertoire.heads, path, edit)
    styles = None if path.styles is None else path.styles[0]
    return MethodWalk(path.latents[0], styles, found)


def _method_of(repertoire: Repertoire, edit: PlannedEdit) -> Method:
    """The method with the knobs of this edit for its attribute; the others' do not matter."""
    card = repertoire.card
    settings = [EditSettings(edit.top_k, edit.layers, edit.step_size)] * len(card.attributes)
    if edit.method in RELEASED_METHODS:
        assert repertoire.one_layer is not None, "planned by what the model offers"
        return RELEASED_METHODS[edit.method](repertoire.one_layer, settings)
    attribute = card.attributes[edit.attribute].name
    found = repertoire.directions[edit.method, attribute]
    if edit.method in STYLE_METHODS:
        rows = [found.vectors if one.name == attribute else None for one in card.attributes]
        return StyleWalk(edit.method, rows, [edit.step_size] * len(rows))
    layers = found.layers.new_tensor(edit.layers).expand_as(found.layers)
    return baseline_walk(edit.method, card, [replace(found, layers=layers)], settings)


def _trajectory(heads: StackedHeads, path: Path, edit: PlannedEdit) -> Trajectory:
    """What the heads say along a path of one sample, and where the edit ends."""
    frames = path.latents[0]
    ranges = torch.tensor([edit.layers], device=frames.device).expand(len(frames), 2)
    points = point_of(frames, ranges, heads.num_channels)
    probabilities = class_probabilities(heads, points)  # [T, A, K]
    report = path.report or _of_line(path, edit)
    there = probabilities[:, edit.attribute, edit.target] >= edit.stop_probability
    steps = report.steps_taken
    if bool(there.any()):
        steps = torch.minimum(steps, there.int().argmax())  # the first of them
    return Trajectory(
        points[None],
        probabilities[None],
        steps,
        report.masked_channels,
        report.kept_norm,
        path.refused & ~there.any(),
    )


def _of_line(path: Path, edit: PlannedEdit) -> WalkReport:
    taken = torch.where(path.refused, 0, edit.steps)
    return WalkReport(taken, torch.zeros_like(taken), torch.ones_like(taken, dtype=torch.float32))


def _on(one: Directions, device: torch.device) -> Directions:
    return replace(one, vectors=one.vectors.float().to(device), layers=one.layers.to(device))
