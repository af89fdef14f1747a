"""What the Grafana dashboard shows, drawn from a Prometheus: the same queries, titles and places.

For looking at the panels where there is no Grafana.

    python -m deploy.dashboard_picture http://127.0.0.1:9090 --minutes 30 -o dashboard.png
"""

import argparse
import json
import re
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

DASHBOARD = Path(__file__).parent / "kubernetes" / "components" / "monitoring" / "dashboard.json"
VARIABLES = {"$__rate_interval": "1m", "$model": ".*"}
POINTS = 240  # of a line
COLUMNS = 24  # of Grafana's grid
INCHES = (0.75, 0.42)  # of one of its cells
LABEL = re.compile(r"{{\s*(\w+)\s*}}")
TIMEOUT_S = 30

Line = tuple[str, list[float], list[float]]  # label, minutes, values


def panels() -> list[dict[str, Any]]:
    """Those that are lines over time."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] == "timeseries"]


def lines_of(prometheus: str, target: dict[str, Any], begin: float, end: float) -> list[Line]:
    """What a query of a panel gives, minutes from the beginning."""
    query = target["expr"]
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    asked = {"query": query, "start": begin, "end": end, "step": (end - begin) / POINTS}
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        found = json.load(answer)["data"]["result"]
    return [
        (
            legend(target.get("legendFormat", ""), one["metric"]),
            [(float(at) - begin) / 60 for at, _ in one["values"]],
            [float(value) for _, value in one["values"]],
        )
        for one in found
    ]


def legend(pattern: str, labels: dict[str, str]) -> str:
    """A line's name as Grafana writes it."""
    return LABEL.sub(lambda match: labels.get(match[1], ""), pattern) or " ".join(labels.values())


def draw(axes: Axes, panel: dict[str, Any], lines: list[Line]) -> None:
    """One panel; an empty one says so."""
    axes.set_title(panel["title"], fontsize=9, loc="left")
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    if not lines:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    for label, minutes, values in lines:
        axes.plot(minutes, values, linewidth=1, label=label)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(panel["fieldConfig"]["defaults"].get("unit", ""), fontsize=7)
    axes.legend(fontsize=6, frameon=False, loc="upper left")


def picture(prometheus: str, minutes: float, file: Path) -> None:
    """Write the picture of the last so many minutes."""
    end = time.time()
    shown = panels()
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in shown)
    figure = plt.figure(figsize=(COLUMNS * INCHES[0], height * INCHES[1]))
    grid = figure.add_gridspec(height, COLUMNS, hspace=3.5, wspace=4)
    for panel in shown:
        place = panel["gridPos"]
        rows = slice(place["y"], place["y"] + place["h"] - 1)
        axes = figure.add_subplot(grid[rows, place["x"] : place["x"] + place["w"]])
        begin = end - minutes * 60
        lines = [
            line for target in panel["targets"] for line in lines_of(prometheus, target, begin, end)
        ]
        draw(axes, panel, lines)
    figure.savefig(file, dpi=90, bbox_inches="tight")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prometheus", help="its URL")
    parser.add_argument("--minutes", type=float, default=30, help="that are shown")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    picture(options.prometheus, options.minutes, options.output)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
