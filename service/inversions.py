"""Inversions inside the GeneratorRunner: one piece of work at a time, behind its renders.

A single thread of low priority with one torch thread does them, so that a search delays renders as
little as it can. What an image's search needs next travels with the calls; tuned generators are
kept for the edits that follow, within a number, and are tuned again where they are gone. Knows
nothing about HTTP.
"""

import asyncio
import hashlib
import math
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any, TypeVar

import numpy as np
import torch

from editing import (
    InversionOptions,
    InversionState,
    Problem,
    TuningOptions,
    advance,
    begin,
    found_latents,
    is_finished,
    measure,
)
from model_store import (
    Inverter,
    PhotoError,
    first_guess,
    fit_photo,
    place,
    problem_of,
    read_photo,
    to_pixels,
    tune_generator,
)
from service.errors import Refusal
from service.images import MEDIA_TYPES, Encoding, encode
from service.provenance import Provenance
from service.signing import Sign

PIECE_S = 0.2  # of a search between two answers
PASTE_SIDE = 1024  # pixels of the longer side of a photo that edits are pasted into
NICENESS = 10
Result = TypeVar("Result")
Answer = dict[str, Any]


class Inversions:
    """Runs pieces of inversions, and keeps tuned generators."""

    def __init__(self, max_pixels: int, max_tuned: int, seed: int, sign: Sign) -> None:
        self._max_pixels = max_pixels
        self._max_tuned = max_tuned
        self._seed = seed  # of the jitter of searches
        self._sign = sign
        self._thread = ThreadPoolExecutor(1, "inversions", _step_back)
        self._tuned: OrderedDict[str, Inverter] = OrderedDict()

    async def invert(self, inverter: Inverter, payload: Mapping[str, Any]) -> Answer:
        """The next piece: progress with what to send back, or the end; or a refusal."""
        return await self._run(lambda should_stop: self._piece(inverter, payload, should_stop))

    async def tuned(self, inverter: Inverter, pivot: Mapping[str, Any]) -> Inverter:
        """The inverter whose generator is tuned to a pivot; the same one while it is kept."""
        return await self._run(lambda should_stop: self._tune(inverter, pivot, should_stop)[0])

    async def _run(self, work: Callable[[Callable[[], bool]], Result]) -> Result:
        """The result of `work` on the thread, which is told when nobody waits any more."""
        stop = threading.Event()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, work, stop.is_set)
        except asyncio.CancelledError:
            stop.set()
            raise

    def _piece(
        self, inverter: Inverter, payload: Mapping[str, Any], should_stop: Callable[[], bool]
    ) -> Answer:
        spec, carried = payload["spec"], payload.get("carried")
        try:
            if carried is None:
                carried = self._begin(inverter, spec, payload["image"])
        except PhotoError as error:
            return Refusal(error.code, str(error), spec["field"], error.allowed).as_payload()
        problem = problem_of(inverter, carried["target"], spec["space"])
        state, options = _state_of(carried["state"], problem), _options(spec, self._seed)
        if spec["mode"] != "encoder":
            until = time.monotonic() + PIECE_S
            state = advance(
                problem, state, options, lambda: should_stop() or time.monotonic() > until
            )
            if not is_finished(state, options):
                return _progress(inverter, problem, state, options, carried)
        return self._end(inverter, problem, state, carried, payload, should_stop)

    def _begin(self, inverter: Inverter, spec: Mapping[str, Any], image: bytes) -> Answer:
        """What the search of an image starts with."""
        photo = read_photo(image, self._max_pixels)
        target, placement = place(inverter, photo, spec["align"])
        problem = problem_of(inverter, target, spec["space"])
        state = begin(problem, first_guess(inverter, problem))
        paste = None
        if spec["keeps_photo"]:
            small, factor = fit_photo(photo, PASTE_SIDE)
            paste = {"photo": small, "matrix": placement.scaled(factor).matrix}
        is_aligned = spec["align"] and inverter.finder is not None
        return {
            "target": target,
            "paste": paste,
            "is_aligned": is_aligned,
            "state": _arrays_of(state),
        }

    def _end(
        self,
        inverter: Inverter,
        problem: Problem,
        state: InversionState,
        carried: Answer,
        payload: Mapping[str, Any],
        should_stop: Callable[[], bool],
    ) -> Answer:
        spec = payload["spec"]
        latents = found_latents(problem, state).detach()
        steps, pivot = state.step, None
        if spec["mode"] == "pivotal":
            pivot = {
                "tag": payload["tag"],
                "target": carried["target"],
                "latents": latents.cpu().numpy(),
                "space": spec["space"],
            }
            inverter, tuning_steps = self._tune(inverter, pivot, should_stop)
            steps += tuning_steps
        with torch.no_grad():
            images = inverter.generator.synthesis(latents)
        pixels = to_pixels(images)[0]
        return {
            "done": True,
            "latents": latents.cpu().numpy(),
            "reconstruction": self._file_of(pixels, inverter, Encoding(**payload["encoding"])),
            "errors": _errors(inverter, problem, images, carried["target"], pixels),
            "steps_taken": steps,
            "is_aligned": carried["is_aligned"],
            "paste": carried["paste"],
            "pivot": pivot,
        }

    def _file_of(self, pixels: np.ndarray, inverter: Inverter, encoding: Encoding) -> bytes:
        provenance = Provenance.of(inverter.generator.card)
        file = encode(pixels, encoding, provenance)
        return self._sign(file, MEDIA_TYPES[encoding.format], provenance)

    def _tune(
        self, inverter: Inverter, pivot: Mapping[str, Any], should_stop: Callable[[], bool]
    ) -> tuple[Inverter, int]:
        key = _pivot_key(pivot)
        if key in self._tuned:
            self._tuned.move_to_end(key)
            return self._tuned[key], 0
        problem = problem_of(inverter, pivot["target"], pivot["space"])
        latents = torch.from_numpy(pivot["latents"].copy()).to(inverter.device)
        tuned, steps = tune_generator(inverter, problem, latents, TuningOptions(), should_stop)
        if not should_stop():  # else it is half done
            self._tuned[key] = tuned
            while len(self._tuned) > self._max_tuned:
                self._tuned.popitem(last=False)
        return tuned, steps


def _progress(
    inverter: Inverter,
    problem: Problem,
    state: InversionState,
    options: InversionOptions,
    carried: Answer,
) -> Answer:
    with torch.no_grad():
        images = inverter.generator.synthesis(found_latents(problem, state))
    return {
        "done": False,
        "step": state.step,
        "steps": options.steps,
        "error": float(measure(problem, images).pixel[0]),
        "carried": {**carried, "state": _arrays_of(state)},
    }


def _errors(
    inverter: Inverter,
    problem: Problem,
    images: torch.Tensor,
    target: np.ndarray,
    pixels: np.ndarray,
) -> Answer:
    found = measure(problem, images)
    mse = float(found.pixel[0])
    return {
        "mse": mse,
        "psnr": -10 * math.log10(max(mse, 1e-10)),
        "perceptual": None if found.feature is None else float(found.feature[0]),
        "perceptual_by": inverter.feature_kind,
        "identity": inverter.identity(target, pixels),
    }


def _options(spec: Mapping[str, Any], seed: int) -> InversionOptions:
    options = InversionOptions(seed=seed)
    return options if spec["steps"] is None else replace(options, steps=spec["steps"])


def _arrays_of(state: InversionState) -> Answer:
    """A state as plain arrays, for crossing processes."""
    return {
        name: value if isinstance(value, int) else value.cpu().numpy()
        for name, value in asdict(state).items()
    }


def _state_of(arrays: Mapping[str, Any], problem: Problem) -> InversionState:
    device = problem.targets.device
    tensors = {
        name: torch.from_numpy(np.array(value)).to(device)
        for name, value in arrays.items()
        if name != "step"
    }
    return InversionState(**tensors, step=arrays["step"])


def _pivot_key(pivot: Mapping[str, Any]) -> str:
    found = hashlib.sha256(pivot["tag"].encode())
    for name in ("target", "latents"):
        found.update(np.ascontiguousarray(pivot[name]).tobytes())
    return found.hexdigest()


def _step_back() -> None:
    """Give this thread one torch thread and, where the system can, a low priority."""
    torch.set_num_threads(1)
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
