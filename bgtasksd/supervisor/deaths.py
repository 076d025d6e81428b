"""Deaths that maintenance has not yet accounted for: kept in memory, and in a bounded file when that takes long."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bgtasksd.supervisor.clock import Clock
from bgtasksd.supervisor.loop import nothing

SPOOL_NAME = "deaths.jsonl"
SPOOL_AFTER = 5.0
"""Seconds that a death waits for the database before it is written to the file."""
LARGEST_SPOOL = 1024 * 1024
TOLD_OF_A_DEATH = {"worker", "ending", "reason", "running", "finished"}
"""What maintenance must know: lines of the file without it are somebody else's."""

logger = logging.getLogger("bgtasksd.supervisor")


class Deaths:
    """What the dead left behind. The claim makes a second report harmless, so when in doubt all is told again."""

    def __init__(self, directory: str | Path, clock: Clock) -> None:
        self.path = Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or directory) / SPOOL_NAME
        self.clock = clock
        self.waiting: dict[int, dict[str, Any]] = {}
        self.untold: dict[int, dict[str, Any]] = {}
        """Those of them that maintenance has not heard of."""
        self.on_report: Callable[[dict[str, Any]], object] = nothing
        """Tells maintenance of one; returns whether it fitted into its line."""
        self._reported_at: dict[int, float] = {}
        self._spooled: set[int] = set()
        self._last = 0

    def as_json(self) -> list[Any]:
        """Return what `take_over` takes."""
        return [[death, self._reported_at[number], number in self._spooled] for number, death in self.waiting.items()]

    def take_over(self, waiting: list[Any]) -> None:
        """Go on waiting for these; all are told again."""
        for death, at, is_spooled in waiting:
            number = death["id"]
            self.waiting[number] = self.untold[number] = death
            self._reported_at[number] = at
            if is_spooled:
                self._spooled.add(number)
            self._last = max(self._last, number)

    def report(self, death: dict[str, Any]) -> None:
        """Take one death; it is told to maintenance until that has accounted for it."""
        self._last += 1
        death = {**death, "id": self._last}
        self.waiting[self._last] = self.untold[self._last] = death
        self._reported_at[self._last] = self.clock.now()
        self.tell()

    def tell(self) -> bool:
        """Tell what was not told yet, as far as it fits; return whether nothing is left."""
        for number, death in list(self.untold.items()):
            if not self.on_report(death):
                return False
            del self.untold[number]
        return True

    def tell_again(self) -> None:
        """Tell a new maintenance process everything that waits."""
        self.untold = dict(self.waiting)
        self.tell()

    def account(self, ids: Iterable[int]) -> None:
        """Forget what maintenance has written down."""
        for number in ids:
            self.waiting.pop(number, None)
            self.untold.pop(number, None)
            self._reported_at.pop(number, None)
        if self._spooled and not self.waiting:
            self._spooled.clear()
            self._unlink()

    def replay(self) -> None:
        """Report what an earlier daemon could not tell any more."""
        try:
            lines = self.path.read_text(errors="replace").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                death = json.loads(line)
            except ValueError:
                continue  # the last line of a full disk
            if isinstance(death, dict) and death.keys() >= TOLD_OF_A_DEATH:
                self.report(death)
                self._spooled.add(self._last)
        if not self.waiting:
            self._unlink()

    @property
    def are_safe(self) -> bool:
        """Tell whether nothing would be forgotten if the supervisor ended now."""
        return all(number in self._spooled for number in self.waiting)

    def next_at(self) -> float | None:
        """Return when a death has waited too long."""
        unsafe = [at for number, at in self._reported_at.items() if number not in self._spooled]
        return min(unsafe) + SPOOL_AFTER if unsafe else None

    def run(self) -> None:
        """Write down what has waited too long."""
        at = self.next_at()
        if at is not None and at <= self.clock.now():
            self.spool()

    def spool(self) -> None:
        """Write what waits to the file; what does not fit is left to the lease."""
        numbers = [number for number in self.waiting if number not in self._spooled]
        lines = [json.dumps(self.waiting[number]) + "\n" for number in numbers]
        self._spooled.update(numbers)
        try:
            with self.path.open("a") as file:
                for line in lines:
                    if file.tell() + len(line) > LARGEST_SPOOL:
                        raise OSError(f"{self.path} is full")
                    file.write(line)
        except OSError as error:
            logger.warning("deaths not written down: %s; their tasks wait for the lease to end", error)

    def _unlink(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s cannot be removed: %s", self.path, error)
