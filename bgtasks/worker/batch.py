"""What a worker has claimed and not started, and what is over and not yet written: the two ends of a batch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from bgtasks.queue import claims
from bgtasks.queue.rows import new_token
from bgtasks.queue.types import Claim, Holder, Outcome

MOST_UNWRITTEN = 50
LONGEST_UNWRITTEN = 0.05
"""Seconds that a success may wait for others to be written with."""
CERTAIN = 0.5
"""Seconds after which claims not started are renewed: who may give them back sees them waiting for longer than this."""


class Unstarted:
    """Claims in the order in which they are to be run. Ours beyond doubt for a short time only."""

    def __init__(self) -> None:
        self.claims: deque[Claim] = deque()
        self._certain_at = 0.0
        self._fresh = 0
        """The token of a renewal that was not confirmed."""

    def __len__(self) -> int:
        return len(self.claims)

    @property
    def are_certain(self) -> bool:
        """Whether nobody can have given them back meanwhile."""
        return time.monotonic() - self._certain_at < CERTAIN

    def add(self, claimed: Sequence[Claim]) -> None:
        """Take over what a turn has claimed."""
        if not self.claims:
            self._certain_at = time.monotonic()
        self.claims.extend(claimed)

    @property
    def first(self) -> Claim:
        """The one to be run next."""
        return self.claims[0]

    def take_first(self) -> Claim:
        """Return the one to be run next, which is to be started now."""
        return self.claims.popleft()

    def take_rest(self) -> list[Claim]:
        """Return all but the first, which are not to be started."""
        first, *rest = self.claims
        self.claims = deque([first])
        return rest

    def take_all(self, holder: Holder) -> list[Claim]:
        """Return all, which are not to be started. Raises what the database raises if their tokens are in doubt."""
        if self._fresh:
            self.make_certain(holder)
        rest, self.claims = list(self.claims), deque()
        return rest

    def make_certain(self, holder: Holder) -> None:
        """Renew them under a fresh token and keep those that were still ours. Raises what the database raises."""
        self._fresh = self._fresh or new_token()
        self.claims = deque(claims.keep(self.claims, self._fresh, holder))
        self._certain_at, self._fresh = time.monotonic(), 0


class Unwritten:
    """Outcomes waiting for their turn: plain successes for a moment, everything else for none."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self._since = 0.0
        self._is_urgent = False

    def __bool__(self) -> bool:
        return bool(self.outcomes)

    def add(self, outcome: Outcome, *, is_urgent: bool = False) -> None:
        """Keep an outcome until it is written."""
        if not self.outcomes:
            self._since = time.monotonic()
        self.outcomes.append(outcome)
        self._is_urgent |= is_urgent or not outcome.can_wait

    def take(self) -> list[Outcome]:
        """Return what is written now."""
        written, self.outcomes = self.outcomes, []
        self._is_urgent = False
        return written

    def keep(self, left: Sequence[Outcome]) -> None:
        """Keep what could not be written; the rest is."""
        self.outcomes, self._is_urgent = list(left), bool(left)

    @property
    def are_due(self) -> bool:
        """Whether they must be written before the next task is started."""
        if not self.outcomes:
            return False
        is_full = len(self.outcomes) >= MOST_UNWRITTEN
        return self._is_urgent or is_full or time.monotonic() - self._since >= LONGEST_UNWRITTEN

    def due_in(self) -> float:
        """Return the seconds until they must be written, if nothing else happens."""
        if not self.outcomes:
            return float("inf")
        return 0.0 if self.are_due else max(0.0, self._since + LONGEST_UNWRITTEN - time.monotonic())
