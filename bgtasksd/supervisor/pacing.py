"""How fast what has failed is tried again: backoff per slot, one budget for all. Pure but for the jitter."""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST_DELAY = 0.5
LONGEST_DELAY = 60.0
JITTER = 0.2
STEADY_AFTER = 60.0
"""Seconds of life, with progress, after which the failures before it are forgotten."""
BREAKER_FAILURES = 5


@dataclass
class Backoff:
    """Doubles from half a second to a minute; only progress resets it."""

    longest: float = LONGEST_DELAY
    failures: int = 0
    not_before: float = 0.0

    def failed(self, now: float) -> float:
        """Note a failure; return the seconds to wait."""
        delay = min(self.longest, FIRST_DELAY * 2.0 ** min(self.failures, 20))
        self.failures += 1
        delay *= random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        self.not_before = now + delay
        return delay

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0
        self.not_before = 0.0

    def is_over(self, now: float) -> bool:
        """Tell whether the next try may begin."""
        return now >= self.not_before

    @property
    def is_hopeless(self) -> bool:
        """Tell whether it has failed often enough for the breaker."""
        return self.failures >= BREAKER_FAILURES


def spawns_a_minute(workers: int) -> int:
    """Return how many unplanned spawns a minute so many workers get."""
    return max(2 * workers, 10)


@dataclass
class SpawnBudget:
    """At most so many unplanned spawns a minute, over all slots."""

    a_minute: int
    left: float = 0.0
    at: float = 0.0

    def take(self, now: float) -> bool:
        """Take one spawn out of the budget, if there is one."""
        self._refill(now)
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def next_at(self, now: float) -> float:
        """Return when the next spawn can be taken."""
        self._refill(now)
        return now + max(0.0, 1 - self.left) * 60 / self.a_minute

    def _refill(self, now: float) -> None:
        if self.at == 0.0:
            self.left = float(self.a_minute)
        else:
            self.left = min(self.a_minute, self.left + (now - self.at) * self.a_minute / 60)
        self.at = now
