"""benchmarks/faults: killed and hanging runners of the real service, every answer checked.

The long run of the same code and its figures: docs/operations.md.
"""

import math
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.faults.checked_load import (
    RIGHT,
    UNTYPED,
    WRONG,
    CheckedLoad,
    Outcome,
    Question,
    digest,
    questions_of,
    verdict,
)
from benchmarks.faults.layouts import GENERATORS, Pods, is_ready, running_tree
from benchmarks.faults.soak import Figures, Kill, Soak, recovery
from model_store import StoredModel
from tests.pods import Cluster, running_cluster, seconds_until

KILLS = 20
CLIENTS = 4
DEADLINE_S = 10.0
REFUSALS = {"overloaded", "deadline_exceeded"}
SETTINGS = {
    "GRADCTRL_MODELS": "tiny-style",
    "GRADCTRL_TIMEOUT_S": f"{DEADLINE_S:g}",
    "GRADCTRL_CACHE_BYTES": "0",
}


@pytest.fixture(scope="module")
def cluster(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("faults")
    with running_cluster(bentoml_home, folder, GENERATORS, **SETTINGS) as running:
        yield running


def load_on(url: str) -> CheckedLoad:
    with httpx.Client(base_url=url, timeout=60) as client:
        questions = questions_of(client, "tiny-style")
    return CheckedLoad(url, questions, DEADLINE_S, CLIENTS, pause_s=0.05)


def soaked(soak: Soak, kills: int) -> Figures:
    soak.run(kills, math.inf, lambda found: None)
    return soak.figures()


@pytest.mark.slow
def test_killed_runners_cost_no_wrong_answer_and_no_hang(cluster: Cluster) -> None:
    layout = Pods(cluster)
    with load_on(layout.url) as load:
        found = soaked(Soak(layout, load, seed=1), KILLS)
    print(found.row())
    assert len(found.kills) == KILLS
    assert {kill.runner for kill in found.kills} == set(layout.runners)
    assert (found.wrong, found.hangs) == (0, 0)
    assert set(found.typed) <= REFUSALS
    assert found.right > KILLS
    generators = [kill.answer_s for kill in found.kills if kill.runner != "classifier-0"]
    assert max(generators) < DEADLINE_S  # the other one answers meanwhile


@pytest.mark.slow
def test_the_process_tree_starts_what_was_killed(
    tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    with running_tree(bentoml_home, tmp_path, **SETTINGS) as layout, load_on(layout.url) as load:
        found = soaked(Soak(layout, load, seed=2), 2)
    print(found.row())
    assert (found.wrong, found.hangs) == (0, 0)
    assert set(found.typed) <= REFUSALS


@pytest.mark.slow
def test_an_only_runner_that_hangs_costs_deadlines_and_comes_back(cluster: Cluster) -> None:
    url = cluster.api.url
    with load_on(url) as load:
        seconds_until(lambda: load.verdicts[RIGHT] > CLIENTS)
        cluster.classifier.signal(signal.SIGSTOP)
        try:
            seconds_until(lambda: not is_ready(url), 20)
            seconds_until(lambda: load.verdicts["deadline_exceeded"] >= CLIENTS, 40)
        finally:
            cluster.classifier.signal(signal.SIGCONT)
        seconds_until(lambda: is_ready(url), 20)
        seen = len(load.outcomes)
        seconds_until(lambda: load.first(seen, needs_the_classifier) is not None, 20)
    assert load.hangs == 0
    assert set(load.verdicts) <= {RIGHT, *REFUSALS}


def needs_the_classifier(outcome: Outcome) -> bool:
    return outcome.verdict == RIGHT and "classifier" in outcome.needs


@pytest.mark.parametrize(
    ("status", "content", "found"),
    [
        (200, {"frames": [1], "request_id": "2", "timings_ms": {}}, RIGHT),
        (200, {"frames": [2], "request_id": "1"}, WRONG),
        (503, {"error": {"code": "overloaded"}}, "overloaded"),
        (500, {"error": {"code": "oops"}}, UNTYPED),
        (500, "Internal Server Error", UNTYPED),
        (502, {"error": "bad gateway"}, UNTYPED),
    ],
)
def test_an_answer_is_right_typed_or_neither(status: int, content: object, found: str) -> None:
    question = Question("/v1/edit", {}, frozenset(), digest({"frames": [1]}))
    assert verdict(question, httpx.Response(status, json=content)) == found


def test_recovery_is_told_for_each_kind_of_runner() -> None:
    seconds = {"generator-0": (1, 5), "generator-1": (3, 7), "classifier-0": (4, 4)}
    kills = [Kill(name, answer, back, api_mb=500) for name, (answer, back) in seconds.items()]
    found = recovery(kills)
    assert list(found) == ["classifier", "generator"]
    generator = found["generator"]
    assert (generator["kills"], generator["answer_p50_s"], generator["back_max_s"]) == (2, 2, 7)


def test_figures_tell_right_wrong_and_typed_apart() -> None:
    verdicts = Counter({RIGHT: 5, WRONG: 1, UNTYPED: 2, "overloaded": 3})
    found = Figures(verdicts=verdicts)
    assert (found.right, found.wrong, found.typed) == (5, 3, {"overloaded": 3})
