"""Kill runners of the real service under load: what clients get, and how soon all is well again.

    python -m benchmarks.faults --home BENTOML_HOME [--layout pods|tree] [--kills 1000]

Every answer is compared with that of the undisturbed service. Ctrl-C ends it early; the figures
are printed and kept all the same.
"""

import argparse
import math
import time
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.faults.checked_load import CheckedLoad, questions_of
from benchmarks.faults.layouts import running_layout
from benchmarks.faults.soak import Figures, Soak
from benchmarks.pairs import save

DEADLINE_S = 10.0
console = Console()


def soak(options: argparse.Namespace) -> Figures:
    """The figures of a soak with the options of the command."""
    settings = {
        "GRADCTRL_MODELS": options.model,
        "GRADCTRL_TIMEOUT_S": f"{DEADLINE_S:g}",
        "GRADCTRL_CACHE_BYTES": "0",  # every answer is computed
    }
    until = time.monotonic() + 60 * options.minutes
    with running_layout(options.layout, options.home, **settings) as layout:
        with httpx.Client(base_url=layout.url, timeout=60) as client:
            questions = questions_of(client, options.model, options.seed)
        load = CheckedLoad(layout.url, questions, DEADLINE_S, options.clients, options.pause)
        with load, _progress() as progress:
            task = progress.add_task("", total=options.kills)
            running = Soak(layout, load, options.seed, options.at_once)
            running.run(
                options.kills,
                until,
                lambda found: progress.update(
                    task, completed=len(found.kills), description=summary(found)
                ),
            )
        return running.figures()  # with the answers that came after the last kill


def _progress() -> Progress:
    columns = (BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(TextColumn("{task.description}"), *columns, console=console)


def summary(found: Figures) -> str:
    """One line of the figures."""
    typed = ", ".join(f"{n} {code}" for code, n in sorted(found.typed.items())) or "none"
    return f"right {found.right}, typed {typed}, wrong {found.wrong}, hangs {found.hangs}"


def shown(found: Figures) -> None:
    """The report."""
    row = found.row()
    console.print(f"{row['kills']} kills: {summary(found)}; slowest {found.slowest_s:.2f} s")
    for kind, times in row["recovery"].items():
        console.print(
            f"  {kind}, {times['kills']} kills: next right answer after "
            f"p50 {times['answer_p50_s']:.2f} s, max {times['answer_max_s']:.2f} s; "
            f"all there p50 {times['back_p50_s']:.2f} s, max {times['back_max_s']:.2f} s"
        )
    before, after = found.api_mb
    console.print(f"  memory of the API: {before:.0f} MB before, {after:.0f} MB after")


def main() -> None:
    """Print the report and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="BENTOML_HOME with the model")
    parser.add_argument("--model", default="avatars")
    parser.add_argument("--layout", choices=("pods", "tree"), default="pods")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=1, help="processes killed together")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two requests")
    parser.add_argument("--seed", type=int, default=0, help="of sources, and of who is killed")
    options = parser.parse_args()
    found = soak(options)
    shown(found)
    console.print(f"  {save(f'faults-{options.layout}', found.row())}")


if __name__ == "__main__":
    main()
