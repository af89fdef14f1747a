"""When to ask again and how long to wait first. Neither asks nor sleeps."""

from __future__ import annotations

import random
from dataclasses import dataclass

from gradctrl_client.errors import GradCtrlError, ServiceUnreachableError

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 10.0


@dataclass(frozen=True)
class Retrying:
    """Retries of what the service had no room for, and of what never reached it."""

    retries: int = 3
    budget_s: float = 60.0  # no retry starts later than this after the first try

    def wait_s(
        self, error: GradCtrlError, tries: int, elapsed_s: float, is_repeatable: bool
    ) -> float | None:
        """Seconds to wait before the next try, or None: this error stands.

        The wait doubles with every try and has a random part, so that clients that were refused
        together do not come back together; it is never shorter than what the service asks for.
        """
        lost = isinstance(error, ServiceUnreachableError) and is_repeatable
        if tries > self.retries or not (lost or error.retry_after_s is not None):
            return None
        backoff = min(FIRST_WAIT_S * 2 ** (tries - 1), LONGEST_WAIT_S)
        wait = (error.retry_after_s or 0.0) + backoff * random.uniform(0.5, 1.0)
        return wait if elapsed_s + wait < self.budget_s else None
