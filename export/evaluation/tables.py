"""Markdown tables of an evaluation: rates, intervals and paired differences."""

import math
from collections.abc import Callable, Sequence

from editing import Interval, mean_interval
from export.evaluation.scores import ScoredCell, mean_difference, mean_of

FEWEST = 5  # values for an interval to be shown: of one or two it would have no width

Cells = dict[str, list[ScoredCell]]  # by method; the first is compared with the others


def rates_table(cells: Cells, attributes: Sequence[str], score: str) -> str:
    """A score per method and attribute, and its mean over attributes, with 95 % intervals."""
    rows = []
    for method, own in cells.items():
        known = {one.attribute: one for one in own}
        each = [
            _with_interval(mean_interval([getattr(known[a].scores, score)])) if a in known else "-"
            for a in range(len(attributes))
        ]
        rows.append([method, *each, _with_interval(mean_of(own, score))])
    shown = [a for a in range(len(attributes)) if any(row[1 + a] != "-" for row in rows)]
    kept = [[row[0], *(row[1 + a] for a in shown), row[-1]] for row in rows]
    return markdown(["method", *(attributes[a] for a in shown), "mean"], kept)


def differences_table(cells: Cells, attributes: Sequence[str], score: str) -> str:
    """The first method minus each other, on the same edits; bold where the interval excludes 0."""
    reference, *others = cells
    rows = []
    for method in others:
        known = {one.attribute for one in cells[method]}
        each = []
        for one in cells[reference]:
            found = mean_difference([one], cells[method], score)
            each.append(_signed(found) if one.attribute in known else "-")
        rows.append(
            [method, *each, _signed(mean_difference(cells[reference], cells[method], score))]
        )
    names = [attributes[one.attribute] for one in cells[reference]]
    return markdown([f"{reference} minus", *names, "mean"], rows)


def summary_table(cells: Cells) -> str:
    """One line per method: means over attributes of everything else that was measured."""
    columns: dict[str, Callable[[list[ScoredCell]], str]] = {
        "attributes": lambda own: str(len(own)),
        "edits": lambda own: str(sum(len(one.cell.frame) for one in own)),
        "attribute dependency": lambda own: _with_interval(mean_of(own, "dependency")),
        "confirmed": lambda own: _with_interval(mean_of(own, "confirmed")),
        "identity": lambda own: _with_interval(mean_of(own, "identity")),
        "walked": lambda own: _plain(mean_of(own, "walked").mean),
        "refused": lambda own: _total(own, "refused"),
        "not finite": lambda own: _total(own, "not_finite"),
    }
    rows = [
        [method, *(column(own) for column in columns.values())] for method, own in cells.items()
    ]
    return markdown(["method", *columns], rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _with_interval(value: Interval) -> str:
    if value.count < FEWEST:
        return "-"
    return f"{_plain(value.mean)} ({_plain(value.low)} to {_plain(value.high)})"


def _signed(value: Interval) -> str:
    if value.count < FEWEST:
        return "-"
    text = f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f})"
    return f"**{text}**" if value.low > 0 or value.high < 0 else text


def _plain(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _total(cells: list[ScoredCell], score: str) -> str:
    return str(int(sum(float(getattr(one.scores, score).sum()) for one in cells)))
