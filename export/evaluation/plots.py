"""Plots of an evaluation as PNG files: attribute dependency, slopes, ablations.

Drawn without a display and without matplotlib's global state.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from editing import dependency_curve
from export.evaluation.ablations import Variant
from export.evaluation.scores import ScoredCell, mean_of
from export.evaluation.tables import Cells

CHANGE_EDGES = torch.linspace(0, 2.5, 11)  # standard deviations of the target
_FEWEST = 5  # edits in a group, for a point of a curve
_CELL = 3.2  # inches
_COLUMNS = 4
_MAX_LINES = 60  # of the slope picture
_DPI = 110


def plot_dependency(cells: Cells, attributes: Sequence[str], path: Path) -> None:
    """Mean AD against the change of the target, per attribute (paper, Fig. 7a)."""
    shown = sorted({one.attribute for own in cells.values() for one in own})
    figure, axes = _grid(len(shown))
    for axis, attribute in zip(axes, shown, strict=True):
        for m, (method, own) in enumerate(cells.items()):
            chosen = [one for one in own if one.attribute == attribute]
            if chosen:
                _draw_curve(axis, chosen[0], method, f"C{m}")
        axis.set_title(attributes[attribute], fontsize=10)
        axis.set_xlabel("change of the target / sigma", fontsize=8)
        axis.set_ylabel("mean AD / sigma", fontsize=8)
        axis.set_xlim(0, float(CHANGE_EDGES[-1]))
        axis.set_ylim(bottom=0)
    _save(figure, axes, path)


def plot_slopes(
    cells: Cells,
    sigma: Tensor,  # [A, K]
    pair: tuple[int, int],  # two binary attributes: the edited one, the one that is watched
    attributes: Sequence[str],
    path: Path,
) -> None:
    """Where each edit starts and ends in the plane of two logits (paper, Fig. 7b).

    Flat lines are disentangled edits; a dot left of the dashed line is an edit that failed.
    """
    edited, watched = pair
    chosen = {
        method: one for method, own in cells.items() for one in own if one.attribute == edited
    }
    figure, axes = _grid(len(chosen))
    for axis in axes[1:]:
        axis.sharex(axes[0])
        axis.sharey(axes[0])
    for axis, (method, one) in zip(axes, chosen.items(), strict=True):
        upwards = one.cell.target == 1
        ends = torch.stack([one.cell.margins[:, 0], one.cell.last], dim=1)[upwards][:_MAX_LINES]
        x = ends[:, :, edited, 1] / sigma[edited, 1]  # [N, 2]
        y = ends[:, :, watched, 1] / sigma[watched, 1]
        axis.plot(x.T.numpy(), y.T.numpy(), color="0.6", linewidth=0.7)
        axis.plot(x[:, 0].numpy(), y[:, 0].numpy(), ".", color="C3", markersize=3, label="start")
        axis.plot(x[:, 1].numpy(), y[:, 1].numpy(), ".", color="C2", markersize=3, label="end")
        axis.axvline(0, color="C0", linestyle="--", linewidth=1)
        axis.set_title(method, fontsize=10)
        axis.set_xlabel(f"{attributes[edited]} logit / sigma", fontsize=8)
        axis.set_ylabel(f"{attributes[watched]} logit / sigma", fontsize=8)
    _save(figure, axes, path)


def plot_ablation(
    results: Sequence[tuple[Variant, ScoredCell]],
    ablation: str,
    label: str,
    path: Path,
    logarithmic: bool = False,
) -> None:
    """Mean accuracy and success with 95 % intervals against the ablation's number (Fig. 8c)."""
    groups: dict[int, list[ScoredCell]] = {}
    for variant, cell in results:
        if variant.ablation == ablation:
            groups.setdefault(variant.value, []).append(cell)
    figure, axes = _grid(1)
    for score in ("success", "accuracy"):
        found = [mean_of(own, score) for own in groups.values()]
        means = [one.mean for one in found]
        below = [one.mean - one.low for one in found]
        above = [one.high - one.mean for one in found]
        axes[0].errorbar(list(groups), means, yerr=[below, above], marker="o", label=score)
    axes[0].set_xlabel(label, fontsize=8)
    axes[0].set_ylim(0, 1.02)
    if logarithmic:
        axes[0].set_xscale("log")
        axes[0].set_xticks(list(groups), [str(value) for value in groups])
    _save(figure, axes, path)


def correlated_pair(
    margins: Tensor,  # [N, A, K], of unedited images
    binary: Sequence[int],  # attributes with two classes
) -> tuple[int, int] | None:
    """The two binary attributes that go together most, the earlier one first; None without two."""
    if len(binary) < 2:
        return None
    strength = torch.corrcoef(margins[:, list(binary), 1].T).nan_to_num().abs().triu(diagonal=1)
    row, column = divmod(int(strength.argmax()), len(binary))
    return (binary[row], binary[column]) if row != column else (binary[0], binary[1])


def _draw_curve(axis: Axes, one: ScoredCell, method: str, colour: str) -> None:
    curve = dependency_curve(
        one.changes.target[:, 1:].flatten(), one.changes.others[:, 1:].flatten(), CHANGE_EDGES
    )
    known = curve.counts >= _FEWEST
    x, y = curve.centers[known].numpy(), curve.dependency[known].numpy()
    axis.plot(x, y, marker=".", label=method, color=colour)


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    columns = max(1, min(count, _COLUMNS))
    rows = max(1, -(-count // columns))
    figure = Figure(figsize=(_CELL * columns + 0.6, _CELL * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    for axis in axes:
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    return figure, axes


def _save(figure: Figure, axes: Sequence[Axes], path: Path) -> None:
    if axes:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7)
    figure.savefig(path, dpi=_DPI)
