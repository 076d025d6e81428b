"""What this daemon has done since its start, and in the sliding hour."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from bgtasksd.facts import LAST_HOUR
from bgtasksd.scoreboard import Record

BUCKET = 60.0
"""Seconds; the hour slides by these."""


class Totals:
    """Counts. What living workers have done stands in their records; `past` holds the dead ones' and the rest."""

    def __init__(self) -> None:
        self.past: Counter[str] = Counter()
        self.recycled: Counter[str] = Counter()
        self.exits: Counter[str] = Counter()
        """Ended workers, by the one reason."""
        self._buckets: deque[tuple[float, Counter[str]]] = deque()

    def as_json(self) -> dict[str, Any]:
        """Return what `take_over` takes."""
        return {"past": self.past, "recycled": self.recycled, "exits": self.exits, "buckets": list(self._buckets)}

    def take_over(self, counted: dict[str, Any]) -> None:
        """Go on counting from there."""
        self.past, self.recycled = Counter(counted["past"]), Counter(counted["recycled"])
        self.exits = Counter(counted.get("exits", {}))
        self._buckets = deque((at, Counter(total)) for at, total in counted["buckets"])

    def bury(self, record: Record) -> None:
        """Keep what a dead worker has done."""
        self.past.update(counts_of(record))

    def sum(self, records: list[Record]) -> Counter[str]:
        """Return all counts, with those of the living workers."""
        total = Counter(self.past)
        for record in records:
            total.update(counts_of(record))
        return total

    def sample(self, now: float, total: Counter[str]) -> None:
        """Remember the counts once a minute."""
        if not self._buckets or now - self._buckets[-1][0] >= BUCKET:
            self._buckets.append((now, total))
        while len(self._buckets) > 1 and now - self._buckets[1][0] >= 3600:
            self._buckets.popleft()

    def last_hour(self, total: Counter[str]) -> dict[str, int]:
        """Return what has been added within the hour."""
        before = self._buckets[0][1] if self._buckets else Counter[str]()
        return {name: max(0, total[name] - before[name]) for name in LAST_HOUR}


def counts_of(record: Record) -> dict[str, int]:
    """Return the counts that a worker keeps itself."""
    return {
        "done": record.done,
        "failed": record.failed,
        "retried": record.retried,
        "cancelled": record.cancelled,
    }
