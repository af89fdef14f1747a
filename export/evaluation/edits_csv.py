"""`edits.csv`: one row per edit, with everything that the report averages."""

import csv
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from export.evaluation.pool import Pool
from export.evaluation.scores import ScoredCell
from model_store import AttributeCard

COLUMNS = (
    "protocol",
    "method",
    "attribute",
    "seed",
    "from",
    "to",
    "frame",
    "success",
    "accuracy",
    "target_change",  # standard deviations, at the end
    "others_change",  # the same, mean over the other attributes
    "dependency_at_equal_change",
    "confirmed",
    "identity",
    "walked",
    "refused",
    "not_finite",
)


def write_edits(
    cells: list[ScoredCell], pool: Pool, attributes: tuple[AttributeCard, ...], path: Path
) -> None:
    """Write all edits of all cells; an empty field is a number that there is not."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for cell in cells:
            writer.writerows(_rows(cell, pool.bank.info.first_seed, attributes[cell.attribute]))


def _rows(one: ScoredCell, first_seed: int, card: AttributeCard) -> Iterator[list[str | int]]:
    cell, scores = one.cell, one.scores
    start = cell.margins[:, 0, one.attribute].argmax(dim=1)
    for n, frame in enumerate(cell.frame.tolist()):
        yield [
            one.protocol,
            one.method,
            card.name,
            first_seed + int(cell.samples[n]),
            card.classes[int(start[n])],
            card.classes[int(cell.target[n])],
            frame,
            int(scores.success[n]),
            int(scores.accuracy[n]),
            _number(one.changes.target[n, frame]),
            _number(one.changes.others[n, frame]),
            _number(scores.dependency[n]),
            _number(scores.confirmed[n]),
            _number(scores.identity[n]),
            _number(scores.walked[n]),
            int(scores.refused[n]),
            int(scores.not_finite[n]),
        ]


def _number(value: Tensor) -> str:
    return "" if bool(value.isnan()) else f"{float(value):.4g}"
