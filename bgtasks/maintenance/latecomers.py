"""Claims of the dead that came late: a COMMIT can be on its way in the server when its worker is already released."""

from __future__ import annotations

FIRST_LOOK = 1.0
"""Seconds after a release."""


class Latecomers:
    """Whose names are to be looked at again, and when. No name is used twice: what it holds now, nobody runs."""

    def __init__(self, second_look: float) -> None:
        self.second_look = second_look
        """Seconds after the first one."""
        self._looks: list[tuple[float, str]] = []

    def expect(self, worker: str, now: float) -> None:
        """Note that this worker was released."""
        first = now + FIRST_LOOK
        self._looks = sorted([*self._looks, (first, worker), (first + self.second_look, worker)])

    def next_due(self, now: float) -> str | None:
        """Return the name whose turn it is; it stays in its place until `looked` is called."""
        return self._looks[0][1] if self._looks and self._looks[0][0] <= now else None

    def looked(self) -> None:
        """Note that the name last returned was looked at."""
        self._looks.pop(0)

    def seconds_until_next(self, now: float) -> float:
        """Return how long there is nothing to look at."""
        return max(0.0, self._looks[0][0] - now) if self._looks else float("inf")
