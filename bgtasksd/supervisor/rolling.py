"""Replacing the workers by those of another generation, slot by slot: the old one leaves when the new one is up."""

from __future__ import annotations

from collections.abc import Callable

from bgtasksd.supervisor import ending
from bgtasksd.supervisor.child import Cause
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slot

MOST_FAILURES = 3
"""Replacements in one slot that do not come up."""


class RollingFailed(Exception):
    """The workers of the generation in charge do not come up."""


class Rolling:
    """One pass over the slots. Make it before the new generation is put in charge."""

    def __init__(self, situation: Situation, say: Callable[..., None]) -> None:
        self.situation = situation
        self.say = say
        self.options_before = situation.options
        self.number_before = situation.generation
        self.slot: Slot | None = None
        """Whose turn it is."""
        self.pid_before: int | None = None
        self.failures_before = 0

    def begin(self) -> None:
        """Try at once, with the new code, what has failed with the old."""
        for slot in self.situation.slots.wanted:
            if slot.child is None:
                slot.backoff.reset()

    def advance(self) -> bool:
        """Take the next step; tell whether nobody of another generation is left in a place. Raises RollingFailed."""
        for slot in self.situation.slots.wanted:
            if self._is_done(slot):
                self._note(slot)
                continue
            if slot is not self.slot and self._has_old_worker(slot):
                self._begin(slot)
            self._refuse_failures(slot)
            return False
        return True

    def clear(self) -> None:
        """Take out replacements that are not up."""
        for slot in self.situation.slots:
            slot.is_rolling = False
            if slot.successor is not None and not slot.successor.has_booted:
                ending.kill_now(self.situation, slot.successor, Cause.STOP)

    def _has_old_worker(self, slot: Slot) -> bool:
        return slot.child is not None and slot.child.generation != self.situation.generation

    def _is_done(self, slot: Slot) -> bool:
        """Tell whether the worker is of the new generation and up, or will be of it when its time comes."""
        if slot.child is None:
            return slot.is_in_backoff
        return not self._has_old_worker(slot) and slot.child.has_booted

    def _begin(self, slot: Slot) -> None:
        """Have a replacement boot; never more than two processes for each slot, on average."""
        situation = self.situation
        if len(situation.slots.children()) >= 2 * situation.slots.target:
            return
        assert slot.child is not None
        self.slot, self.pid_before, self.failures_before = slot, slot.child.pid, slot.backoff.failures
        slot.is_rolling = True

    def _note(self, slot: Slot) -> None:
        slot.is_rolling = False
        if slot is self.slot:
            self.slot = None
            pid = slot.child.pid if slot.child else None
            self.say(f"w{slot.number}  pid {self.pid_before} → {pid}", slot=slot.number, pid=pid)

    def _refuse_failures(self, slot: Slot) -> None:
        if slot is self.slot and slot.backoff.failures - self.failures_before >= MOST_FAILURES:
            raise RollingFailed(f"w{slot.number}: {MOST_FAILURES} new workers did not come up; the log says why")
