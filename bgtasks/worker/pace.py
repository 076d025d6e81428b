"""How many tasks to claim at once: as many fast ones as fill a moment; what may be slow, or fatal, runs alone."""

from __future__ import annotations

from bgtasks import registry
from bgtasks.queue.types import Claim

MOMENT = 0.2
"""Seconds of work to claim at once."""
SLOW = 0.1
"""Seconds: nothing is to wait behind a task that takes as long as this."""
MOST = 200
WEIGHT = 1 / 8
"""Of the last task in the averages."""


class Pace:
    """Averages of how long tasks take: of each name, and of whatever came lately."""

    def __init__(self, moment: float = MOMENT, most: int = MOST) -> None:
        self.moment, self.most = moment, most
        self._by_name: dict[str, float] = {}
        self._lately: float | None = None
        self._most = 1
        """Doubled with each full batch: a worker that begins does not know yet what it claims."""

    def note(self, claim: Claim, duration: float) -> None:
        """Learn from one task that was run, in seconds."""
        name = claim.task_name
        self._by_name[name] = _average(self._by_name.get(name, duration), duration)
        self._lately = _average(duration if self._lately is None else self._lately, duration)

    def want(self) -> int:
        """Return how many tasks to claim next."""
        if self._lately is None:
            return 1
        return max(1, min(self._most, int(self.moment / max(self._lately, self.moment / self.most))))

    def claimed(self, count: int) -> None:
        """Learn how many tasks a turn brought."""
        self._most = min(self.most, 2 * max(1, count))

    def be_modest(self) -> None:
        """Begin with one again: most of a batch was claimed in vain."""
        self._most = 1

    def wants_alone(self, claim: Claim) -> bool:
        """Say whether a task may hold up others: it is slow, nobody here knows it yet, or it crashed a worker."""
        return claim.crashes > 0 or self._by_name.get(claim.task_name, SLOW) >= SLOW


class SharingPace(Pace):
    """The same where coroutines run side by side: they keep nobody waiting, so as many are claimed as have room."""

    def want(self) -> int:
        return self._most if self._lately is None else super().want()

    def wants_alone(self, claim: Claim) -> bool:
        return claim.crashes > 0 if is_coroutine(claim) else super().wants_alone(claim)

    def shared(self) -> None:
        """Note that a coroutine was started: how long others took says nothing of those that come."""
        self._lately = None


def is_coroutine(claim: Claim) -> bool:
    """Say whether a task runs in an event loop; one that is not known here does not."""
    task = registry.known(claim)
    return task is not None and bool(task.is_coroutine)


def _average(before: float, last: float) -> float:
    return before + WEIGHT * (last - before)
