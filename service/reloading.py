"""New versions of models without a restart: looked up, loaded by every runner, pinned, then served.

Requests that have begun finish on the version that they began with. Whatever fails on the way
leaves what is served as it was. Knows no transport.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from model_store import ModelStoreError, UnknownModelError
from service.catalogue import Catalogue, stored_cards
from service.errors import ApiError
from service.pins import pin
from service.runner_pool import RunnerPool
from service.specs import ServedCard

_UNCHANGED = "what was served before still is"

logger = logging.getLogger("gradctrl.service")


@dataclass(frozen=True)
class Reloaded:
    """Tags before and after."""

    served: list[str]
    added: list[str]
    retired: list[str]


class Reloading:
    """Has one API process and all runners serve what the store holds now."""

    def __init__(
        self,
        catalogue: Catalogue,
        pools: tuple[RunnerPool, ...],
        names: tuple[str, ...],  # to look up; empty: all models
        grace_s: float,  # the longest that a request on an old version can last
        pins: Path | None,  # what processes that start anew read
    ) -> None:
        self._catalogue = catalogue
        self._pools = pools
        self._names = names
        self._grace_s = grace_s
        self._pins = pins
        self._one_at_a_time = asyncio.Lock()
        self._dropping: asyncio.Task[None] | None = None

    async def reload(self) -> Reloaded:
        """Serve the newest versions; ApiError where a model or a runner is not fit to.

        Runners are told also where nothing is new: one may have missed it, or hold what is not
        served, when it or the API was started anew.
        """
        async with self._one_at_a_time:
            found = await self._find()
            before, now = self._catalogue.tags, [one.tag for one in found]
            await self._load(now)
            await self._pin(now)
            self._catalogue.replace(found)
            if now != before or self._dropping is None or self._dropping.done():
                self._drop_later()  # what waits for it already is not put off for nothing new
            added = [tag for tag in now if tag not in before]
            retired = [tag for tag in before if tag not in now]
            logger.info("reloaded: added %s, retired %s", added or "none", retired or "none")
            return Reloaded(now, added, retired)

    async def _find(self) -> list[ServedCard]:
        try:
            return await asyncio.to_thread(stored_cards, self._names)
        except UnknownModelError as error:
            raise ApiError("unknown_model", f"{error}; {_UNCHANGED}") from error
        except ModelStoreError as error:
            raise ApiError("internal", f"{error}; {_UNCHANGED}") from error

    async def _load(self, tags: list[str]) -> None:
        """Have every runner ready for the tags, so that no request waits for it."""
        for pool in self._pools:
            await pool.ask_every("load", {"tags": tags})

    async def _pin(self, tags: list[str]) -> None:
        if self._pins is None:
            return
        try:
            await asyncio.to_thread(pin, self._pins, tags)
        except OSError as error:
            raise ApiError("internal", f"{error}; {_UNCHANGED}") from error

    def _drop_later(self) -> None:
        if self._dropping is not None:
            self._dropping.cancel()
        self._dropping = asyncio.create_task(self._drop())

    async def _drop(self) -> None:
        """Free what no request can need any more; a runner reads again what a late one asks for."""
        await asyncio.sleep(self._grace_s)
        for pool in self._pools:
            await pool.keep({"tags": self._catalogue.tags})
