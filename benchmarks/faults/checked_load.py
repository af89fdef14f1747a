"""Clients that ask without an end, and compare every answer with that of the undisturbed service.

Knows nothing about what goes wrong meanwhile.
"""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, get_args

import httpx

from service.errors import Code

OWN = ("request_id", "timings_ms")  # of an answer; everything else is equal for equal requests
SOURCES = 12
CUT_S = 60.0  # a client gives up so long after the deadline: by then it hangs
SLACK_S = 2.0  # of an answer's way back on a machine that is busy starting runners
CODES = frozenset(get_args(Code))
RIGHT, WRONG, UNTYPED = "right", "wrong", "untyped"


@dataclass(frozen=True)
class Question:
    """A request, the runners that it needs, and a hash of what the undisturbed service answers."""

    path: str
    body: dict[str, Any]
    needs: frozenset[str]
    expected: str = ""


@dataclass(frozen=True)
class Outcome:
    """How one request ended: right, wrong, untyped, or the code of its error."""

    needs: frozenset[str]
    sent: float  # on the monotonic clock
    seconds: float
    verdict: str


def questions_of(client: httpx.Client, model: str, first_seed: int = 0) -> list[Question]:
    """Edits, generations and scores of some seeds, with their answers."""
    cards = client.get("/v1/models").raise_for_status().json()["models"]
    attributes = next(card for card in cards if card["name"] == model)["attributes"]
    asked: list[Question] = []
    for number in range(SOURCES):
        seed, attribute = first_seed + number, attributes[number % len(attributes)]
        edit = {"attribute": attribute["name"], "target": attribute["classes"][-1], "steps": 8}
        edited = {"model": model, "source": {"seed": seed}, "edits": [edit]}
        asked.append(Question("/v1/edit", edited, frozenset({"classifier", "generator"})))
        generated = {"model": model, "seeds": [seed]}
        asked.append(Question("/v1/generate", generated, frozenset({"generator"})))
        latents = client.post("/v1/edit", json=edited).raise_for_status().json()["latent"]
        scored = {"model": model, "latents": [latents["values"]]}
        asked.append(Question("/v1/score", scored, frozenset({"classifier"})))
    return [_answered(client, question) for question in asked]


def _answered(client: httpx.Client, question: Question) -> Question:
    answer = client.post(question.path, json=question.body).raise_for_status()
    return Question(question.path, question.body, question.needs, digest(answer.json()))


def digest(answer: dict[str, Any]) -> str:
    """A hash of all that equal requests have in common: images, latents, scores, reports."""
    common = {name: value for name, value in answer.items() if name not in OWN}
    return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()


def verdict(question: Question, answer: httpx.Response) -> str:
    """What an answer is worth."""
    try:
        content = answer.json()
        if answer.status_code == httpx.codes.OK:
            return RIGHT if digest(content) == question.expected else WRONG
        code = content["error"]["code"]
        return str(code) if code in CODES else UNTYPED
    except (ValueError, KeyError, TypeError, AttributeError):
        return UNTYPED


class CheckedLoad:
    """A number of clients in threads, each on a connection of its own."""

    def __init__(
        self,
        url: str,
        questions: Sequence[Question],
        deadline_s: float,
        clients: int,
        pause_s: float = 0.0,
    ) -> None:
        self._url = url
        self._questions = questions
        self._deadline_s = deadline_s
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._count = clients
        self._clients: list[Future[None]] = []
        self.outcomes: list[Outcome] = []

    def __enter__(self) -> "CheckedLoad":
        self._clients = [self._pool.submit(self._ask, number) for number in range(self._count)]
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()

    @property
    def verdicts(self) -> Counter[str]:
        """How many requests ended in which way."""
        return Counter(outcome.verdict for outcome in list(self.outcomes))

    @property
    def hangs(self) -> int:
        """Requests that were answered after their deadline, or never."""
        longest = self._deadline_s + SLACK_S
        return sum(outcome.seconds > longest for outcome in list(self.outcomes))

    def first(self, since: int, is_it: Callable[[Outcome], bool]) -> Outcome | None:
        """The first outcome after so many that is of a kind, by the time of its answer."""
        return next((one for one in self.outcomes[since:] if is_it(one)), None)

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=self._deadline_s + CUT_S) as client:
            turn = number * len(self._questions) // self._count  # not all clients ask the same
            while not self._stop.is_set():
                question = self._questions[turn % len(self._questions)]
                sent = time.monotonic()
                found = _asked(client, question)
                took = time.monotonic() - sent
                self.outcomes.append(Outcome(question.needs, sent, took, found))
                turn += 1
                self._stop.wait(self._pause_s)


def _asked(client: httpx.Client, question: Question) -> str:
    try:
        return verdict(question, client.post(question.path, json=question.body))
    except httpx.HTTPError:  # a reset, an end without an answer, or nothing within the time
        return UNTYPED
