"""Workers replaced because somebody wants it: after their task, or killed; and the news of who came instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bgtasksd.control import CommandError
from bgtasksd.supervisor import ending
from bgtasksd.supervisor.changes import STOPPING, Change, Changes
from bgtasksd.supervisor.child import Cause, Child
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slot, Slots

REASON = "retired"


@dataclass(eq=False)
class Replacement:
    """One worker that is to go, and what came of it."""

    slot: Slot
    old: Child
    is_told: bool = True
    """It knows, or need not be told."""
    reason: str | None = None
    new_pid: int | None = None
    is_over: bool = False

    def facts(self) -> dict[str, Any]:
        """Return what JSON says."""
        return {"slot": self.slot.number, "pid": self.old.pid, "reason": self.reason, "new_pid": self.new_pid}


class Replacing:
    """Follows each order until every place has a worker again."""

    def __init__(self, situation: Situation, changes: Changes) -> None:
        self.situation = situation
        self.changes = changes
        self.followed: list[tuple[Change, list[Replacement]]] = []

    def retire(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Have the workers of these places, of all if none is named, leave after their task; return the answer.

        Each asks to leave when its task is over: the gate of `retirement` then lets few at a time go.
        """
        slots = self.situation.slots
        named = dict.fromkeys(slot_numbered(slots, number) for number in numbers)  # each once
        meant = named or [each for each in slots.wanted if each.child]
        found = [Replacement(slot, _child(slot), is_told=False) for slot in meant]
        return self._follow("retire", found).accepted(workers=[each.facts() for each in found])

    def kill(self, number: int) -> dict[str, Any]:
        """Kill the worker of a place, its stacks dumped before; its task is tried again. Return the answer."""
        slot = slot_numbered(self.situation.slots, number)
        child = _child(slot)
        if child.process is None:
            raise CommandError(f"the worker of slot {number} is not up yet")
        tasks = [{"task": task.task_name, "task_id": str(task.task_id)} for task in child.page.tasks()]
        ending.kill(self.situation, child, Cause.KILLED)
        found = Replacement(slot, child)
        first, *others = tasks or [{}]
        shown = {**found.facts(), **first, **({"others": others} if others else {})}
        return self._follow("kill", [found]).accepted(workers=[shown])

    def _follow(self, name: str, found: list[Replacement]) -> Change:
        change = self.changes.begin(name)
        self.followed.append((change, found))
        return change

    def next_at(self) -> float | None:
        """Return None: that a worker ends or boots is an event."""

    def run(self) -> None:
        """See how far each order has come."""
        for change, found in self.followed:
            before = sum(each.is_over for each in found)
            for each in found:
                self._look_at(each)
            over = sum(each.is_over for each in found)
            if self.situation.is_stopping:
                change.failed(STOPPING)
            elif over == len(found):
                change.done(workers=[each.facts() for each in found])
            elif over > before:
                change.say(f"{over} of {len(found)} workers replaced", replaced=over)
        self.followed = [each for each in self.followed if not each[0].is_over]

    def _look_at(self, each: Replacement) -> None:
        if each.is_over:
            return
        if not each.is_told:
            each.is_told = each.old.channel.send("ask", reason=REASON)
        slot, new = each.slot, each.slot.child
        if each.old.is_alive:
            return
        each.reason = each.reason or slot.last_exit
        if new is not None and new.has_booted:
            each.new_pid = new.pid
        each.is_over = each.new_pid is not None or slot.is_surplus


def slot_numbered(slots: Slots, number: Any) -> Slot:
    """Return the place of this number. Raises CommandError."""
    slot = slots.numbered(number)
    if slot is None:
        known = ", ".join(str(each.number) for each in slots)
        raise CommandError(f"there is no slot {number!r}; there are {known or 'none'}")
    return slot


def _child(slot: Slot) -> Child:
    if slot.child is None:
        raise CommandError(f"slot {slot.number} has no worker at the moment")
    return slot.child
