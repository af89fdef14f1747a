"""How long a person at /playground waits, in a real browser, on `avatars` of the local store.

A round is: Shuffle (a new seed, one frame), a click on `smiling` (the card's eight steps), Clear.
Time goes from the click's own time stamp to the frame after the decoded picture is in the page.
Between the rounds a bare client asks for the same edit: what is left is the page's own time.
Needs Chromium: apt-get install chromium.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import httpx
import typer
from playwright.sync_api import Browser

from tests.servers import running_server
from tests.service.playground.visits import DESKTOP, INSTALL, Visit, browsing, chromium

EDIT = {"attribute": "smile", "target": "smiling"}
NOT_SHUFFLED = 200_000  # the page takes smaller seeds; no answer may come from the cache
# A picture that the next one replaces before it is decoded was never seen: wait for one that is.
WATCH = """() => {
    const picture = document.getElementById("after");
    window.waits = {first: [], last: []};
    let clicked = 0;
    let ended = 0;
    const note = (list, since) => requestAnimationFrame(() => list.push(performance.now() - since));
    document.addEventListener("click", (event) => {
        clicked = ended = event.timeStamp;
    }, true);
    new MutationObserver(async () => {
        const since = clicked;
        clicked = 0;
        if (!since) return;
        while (!(await picture.decode().then(() => true, () => false)));
        note(waits.first, since);
    }).observe(picture, {attributeFilter: ["src"]});
    new MutationObserver(([{target}]) => {
        if (target.dataset.busy === "no" && ended) {
            note(waits.last, ended);
            ended = 0;
        }
    }).observe(document.getElementById("stage"), {attributeFilter: ["data-busy"]});
}"""
CLOCK = "performance.timeOrigin + performance.now()"
LOADED = """() => {
    const all = [...performance.getEntriesByType("navigation"),
                 ...performance.getEntriesByType("resource")];
    const files = all.filter((one) => one.name.includes("/playground"));
    return {
        requests: files.length,
        bytes: files.reduce((sum, one) => sum + one.transferSize, 0),
    };
}"""


def measure(
    rounds: Annotated[int, typer.Option(help="Rounds of clicks.", min=3)] = 30,
    loads: Annotated[int, typer.Option(help="Page loads.", min=3)] = 10,
    threads: Annotated[int, typer.Option(help="Torch threads of the service.", min=1)] = 1,
) -> None:
    """Print medians and 95th percentiles."""
    executable = chromium()
    if executable is None:
        raise SystemExit(INSTALL)
    home = Path(os.environ.get("BENTOML_HOME", Path.home() / "bentoml"))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        environment = {"OMP_NUM_THREADS": str(threads)}
        with (
            running_server(home, log, "--models", "avatars", **environment) as url,
            browsing(executable) as browser,
        ):
            print("| what | median ms | p95 ms |\n|---|---|---|")
            page_loads(browser, url, loads)
            clicks(browser, url, rounds)
            print(f"\n{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")


def page_loads(browser: Browser, url: str, loads: int) -> None:
    """Loads with an empty cache, and again with what the first left there."""
    cold: list[float] = []
    again: list[float] = []
    sizes: list[dict[str, int]] = []
    for seed in range(loads):
        context = browser.new_context(viewport=DESKTOP)
        visit = Visit(context.new_page(), url)
        for times in (cold, again):
            visit.page.goto("about:blank")
            started = visit.page.evaluate(CLOCK)
            visit.open(f"#seed={seed}")
            times.append(visit.page.evaluate(CLOCK) - started)
            sizes.append(visit.page.evaluate(LOADED))
        context.close()
    row("page load, empty cache, until its first picture and scores", cold)
    row("page load again", again)
    first, second = sizes[0], sizes[1]
    print(f"\n{first['requests']} files, {first['bytes']} bytes; again {second['bytes']} bytes\n")


def clicks(browser: Browser, url: str, rounds: int) -> None:
    """Clicks on Shuffle and on a class."""
    visit = Visit(browser.new_page(viewport=DESKTOP), url)
    visit.open()
    visit.page.evaluate(WATCH)
    bare: list[float] = []
    shuffled: list[float] = []
    first: list[float] = []
    last: list[float] = []
    for seed in range(rounds):
        bare.append(bare_stream(url, seed))
        visit.page.get_by_role("button", name="Shuffle").click()
        visit.settle()
        shuffled.append(newest(visit, "first"))
        visit.choose("smile", "smiling")
        first.append(newest(visit, "first"))
        last.append(newest(visit, "last"))
        visit.page.get_by_role("button", name="Clear all edits").click()
        visit.settle()
        newest(visit, "first")
    row("the same edit by a bare HTTP client, until its last byte", bare)
    row("click on Shuffle, until the picture", shuffled)
    row("click on a class, until the first edited frame", first)
    row("click on a class, until all 9 frames", last)


def bare_stream(url: str, seed: int) -> float:
    """Milliseconds that the service itself takes for such an edit."""
    body = {"source": {"seed": NOT_SHUFFLED + seed}, "edits": [EDIT]}
    started = time.perf_counter()
    httpx.post(f"{url}/v1/edit/stream", json=body, timeout=60).raise_for_status()
    return (time.perf_counter() - started) * 1000


def newest(visit: Visit, name: str) -> float:
    """The last wait of a kind, once it is there."""
    visit.page.wait_for_timeout(100)
    waits: list[float] = visit.page.evaluate(f"waits.{name}")
    assert waits
    return waits[-1]


def row(what: str, times: list[float]) -> None:
    """One line of the table."""
    slow = statistics.quantiles(times, n=20)[-1]
    print(f"| {what} | {statistics.median(times):.0f} | {slow:.0f} |")


if __name__ == "__main__":
    typer.run(measure)
