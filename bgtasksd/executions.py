"""Executions by task and queue: how many ended how, how long they took, how long they had waited. Only sums."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

BOUNDS = (0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 3600.0)
"""Seconds: the upper bounds of the buckets of a histogram; one more bucket holds what took longer."""
MOST_PLACES = 100
"""Tasks, each in each of its queues, that are counted by name: one made of an id must not fill the monitoring."""
OTHERS = "others"


class Histogram:
    """How often which time was seen."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def merge(self, counts: list[int], seconds: float) -> None:
        """Add what somebody else has seen."""
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, counts, strict=True)]
        self.seconds += seconds


class Executions:
    """Counts and times; what is over a bounded number of names is one of the others."""

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, str, str]] = Counter()
        """By task, queue and outcome."""
        self.durations: defaultdict[tuple[str, str], Histogram] = defaultdict(Histogram)
        self.waits: defaultdict[str, Histogram] = defaultdict(Histogram)
        """By queue: from the moment a task was due to its claim."""
        self._places: set[tuple[str, str]] = set()

    def add(self, task: str, queue: str, outcome: str, *, duration: float, waited: float) -> None:
        """Count one execution."""
        place = self._place(task, queue)
        self.ended[*place, outcome] += 1
        self.durations[place].add(duration)
        self.waits[place[1]].add(waited)

    def add_death(self, task: str, outcome: str) -> None:
        """Count one that ended with its worker: nobody can say any more in which queue it was, and how long it took."""
        self.ended[*self._place(task, ""), outcome] += 1

    def merge(self, told: Mapping[str, Any]) -> None:
        """Add what `as_json` of others has returned."""
        for task, queue, outcome, count in told["ended"]:
            self.ended[*self._place(task, queue), outcome] += count
        for task, queue, counts, seconds in told["durations"]:
            self.durations[self._place(task, queue)].merge(counts, seconds)
        for queue, counts, seconds in told["waits"]:
            known = queue if queue in self.waits or len(self.waits) < MOST_PLACES else OTHERS
            self.waits[known].merge(counts, seconds)

    def as_json(self) -> dict[str, Any]:
        """Return what `merge` takes."""
        return {
            "ended": [[*names, count] for names, count in self.ended.items()],
            "durations": [[*place, each.counts, each.seconds] for place, each in self.durations.items()],
            "waits": [[queue, each.counts, each.seconds] for queue, each in self.waits.items()],
        }

    def _place(self, task: str, queue: str) -> tuple[str, str]:
        place = (task, queue)
        if place not in self._places:
            if len(self._places) >= MOST_PLACES:
                return OTHERS, OTHERS
            self._places.add(place)
        return place
