"""Runs every cell of an evaluation, or reads it where it has been run before.

A cell's file is named by a hash of the model's tag and of all settings that decide its numbers;
another model, judge, seed or number of samples makes other cells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from editing import Method, UnsupportedMethodError
from export.errors import ExportError
from export.evaluation.ablations import Variant
from export.evaluation.cells import Bench, cell_file, read_cell, run_cell, save_cell
from export.evaluation.options import EvaluationOptions
from export.evaluation.pool import Report
from export.evaluation.protocols import PROTOCOLS, Protocol, Starts
from export.evaluation.scores import ScoredCell, score_cell
from model_store import StoredModel, default_steps

CELLS_FOLDER = "cells"

Maker = Callable[[], Method]  # UnsupportedMethodError: the model cannot edit so
MethodMaker = Callable[[bool], Method]  # the same; whether walks choose where they end


@dataclass
class Results:
    """What has been measured, and what could not be."""

    cells: list[ScoredCell] = field(default_factory=list)
    ablations: list[tuple[Variant, ScoredCell]] = field(default_factory=list)
    omitted: dict[tuple[str, str, str], str] = field(default_factory=dict)  # with the reason


@dataclass(frozen=True)
class Run:
    """One evaluation: a model on a bench, with settings and a folder."""

    model: StoredModel
    bench: Bench
    options: EvaluationOptions
    folder: Path
    facts: Mapping[str, Any]  # further settings that decide the numbers: judges, pool, bank
    report: Report

    @cached_property
    def attributes(self) -> list[int]:
        """Positions of the attributes to edit among the judged ones."""
        judged = [one.name for one in self.bench.judge.attributes]
        wanted = self.options.attributes or judged
        if unknown := [name for name in wanted if name not in judged]:
            raise ExportError(f"attributes: {unknown} are not judged; there are {judged}")
        return sorted(judged.index(name) for name in wanted)

    def methods(self, makers: Mapping[str, MethodMaker], results: Results) -> None:
        """All cells of the methods under all protocols."""
        for name, make in makers.items():
            lazies = {ends: _Lazy(partial(make, ends)) for ends in (True, False)}
            for protocol in (PROTOCOLS[one] for one in self.options.protocols):
                lazy = lazies[not protocol.every_frame]  # else it goes on until the image flips
                for attribute in self.attributes:
                    found = self._cell(name, lazy, protocol, attribute, results)
                    if found is not None:
                        results.cells.append(found)

    def variants(self, variants: Sequence[Variant], results: Results) -> None:
        """All cells of the ablations, under the protocol of the options."""
        protocol = PROTOCOLS[self.options.ablation_protocol]
        for variant in variants:
            lazy = _Lazy(variant.make)
            for attribute in self.attributes:
                found = self._cell(variant.name, lazy, protocol, attribute, results)
                if found is not None:
                    results.ablations.append((variant, found))

    def starts(self, protocol: Protocol, attribute: int) -> Starts:
        """The same starts for every method."""
        options = self.options
        return protocol.choose(
            self.bench.pool, attribute, options.samples, options.seed * 1000 + attribute
        )

    def _cell(
        self, name: str, method: "_Lazy", protocol: Protocol, attribute: int, results: Results
    ) -> ScoredCell | None:
        card = self.bench.judge.attributes[attribute]
        labels = (protocol.name, name, card.name)
        file = cell_file(self.folder / CELLS_FOLDER, labels, self._settings())
        self.report(f"{protocol.name} {name} {card.name}", 0, 1)
        if not file.is_file():
            try:
                self._run(file, name, method.value, protocol, attribute)
            except (UnsupportedMethodError, _NoStartsError) as error:
                results.omitted[labels] = str(error)
                return None
        second = self.bench.second
        names = [] if second is None else [one.name for one in second.attributes]
        return score_cell(
            protocol.name,
            name,
            attribute,
            read_cell(file),
            self.bench.pool.sigma,
            names.index(card.name) if card.name in names else None,
        )

    def _run(
        self, file: Path, name: str, method: Method, protocol: Protocol, attribute: int
    ) -> None:
        card = self.bench.judge.attributes[attribute]
        starts = self.starts(protocol, attribute)
        if not len(starts.samples):
            raise _NoStartsError(f"no test sample fits the protocol {protocol.name!r}")
        index = [one.name for one in self.model.card.attributes].index(card.name)
        own = default_steps(name, card.defaults.steps)
        steps = self.options.steps if protocol.every_frame else own
        with torch.inference_mode():
            path = method.path(self.bench.pool.latents(starts.samples), index, starts.target, steps)
            what = f"{protocol.name} {name} {card.name}"
            cell = run_cell(
                self.bench,
                protocol,
                attribute,
                starts,
                path,
                lambda step, total: self.report(what, step, total),
            )
        save_cell(cell, file)

    def _settings(self) -> dict[str, Any]:
        options = self.options
        return {
            **self.facts,
            "model": self.model.tag,
            "samples": options.samples,
            "steps": options.steps,
            "step_size": options.step_size,
            "seed": options.seed,
        }


class _NoStartsError(ExportError):
    """No sample of the pool can be used."""


class _Lazy:
    """A method that is made when its first edit is run: retraining takes minutes."""

    def __init__(self, make: Maker) -> None:
        self._make = make

    @cached_property
    def value(self) -> Method:
        """The method."""
        return self._make()
