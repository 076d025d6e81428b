"""How many workers there are, changed while they work. Nobody busy is cut: who is too many leaves after its task."""

from __future__ import annotations

import logging
from typing import Any

from bgtasksd.children.fork import why
from bgtasksd.control import CommandError
from bgtasksd.scoreboard import pages_of
from bgtasksd.supervisor import ending, holding, retirement
from bgtasksd.supervisor.changes import STOPPING, Change, Changes
from bgtasksd.supervisor.goals import Goals, goals_of, total_of
from bgtasksd.supervisor.pacing import spawns_a_minute
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Group, Slot, Slots

REASON = "scale"

logger = logging.getLogger("bgtasksd.supervisor")


class Scaling:
    """Compares wanted places with those there are, at every turn: any number of orders ends at the last one."""

    def __init__(self, situation: Situation, changes: Changes) -> None:
        self.situation = situation
        self.changes = changes
        self.followed: list[tuple[Change, Goals]] = []
        self.told = ""

    def order(self, asked: Any) -> dict[str, Any]:
        """Take an order: a number, a difference like "+2", or either for each group by name. Raises CommandError."""
        goals = goals_of(self.situation.slots, asked)
        change = self.changes.begin("scale")
        before = self.situation.slots.target
        answer = [{"queues": group.name, "before": group.wanted, "workers": wanted} for group, wanted in goals.items()]
        self._want(goals)
        self.followed.append((change, goals))
        return change.accepted(workers_before=before, workers_target=self.situation.slots.target, groups=answer)

    def step(self, difference: int) -> None:
        """Have one worker more or fewer, as a signal asks for."""
        slots = self.situation.slots
        if self.situation.is_stopping or not difference:
            return
        try:
            self._want(goals_of(slots, f"{difference:+d}"))
        except CommandError as error:
            logger.warning("signal ignored: %s", error)

    def _want(self, goals: Goals) -> None:
        situation = self.situation
        before, target = situation.slots.target, total_of(situation.slots, goals)
        try:
            situation.board.reserve(pages_for(target, situation.options.concurrency))
        except OSError as error:
            raise CommandError(f"no room for {target} workers: {why(error)}") from error
        for group, wanted in goals.items():
            group.wanted = wanted
        situation.budget.a_minute = spawns_a_minute(target)
        if target != before:
            logger.info("workers %d → %d", before, target, extra={"event": "scale", "workers": target})

    def next_at(self) -> float | None:
        """Return None: orders are events, and so is that a worker rests, or ends."""

    def run(self) -> None:
        """Give up places, take them back, make new ones; and tell who waits how it goes."""
        if self.situation.is_stopping:
            self._give_up_changes()
            return
        for group in self.situation.slots.groups:
            self._fit(group)
        self._give_up_the_groupless()
        for slot in list(self.situation.slots):
            if slot.is_surplus:
                self._empty(slot)
        self._follow()

    def _fit(self, group: Group) -> None:
        slots = self.situation.slots
        spare = [slot for slot in slots.of(group) if slot.is_surplus]
        wanted = [slot for slot in slots.of(group) if not slot.is_surplus]
        for slot in sorted(wanted, key=_first_to_go)[: max(0, len(wanted) - group.wanted)]:
            self._give_up(slot)
        missing = max(0, group.wanted - len(wanted))
        for slot in sorted(spare, key=_is_leaving)[:missing]:
            self._take_back(slot)
        for _ in range(missing - len(spare)):
            slots.add(group)

    def _give_up_the_groupless(self) -> None:
        """Give up the places of groups that a reload has taken away."""
        wanted = {group.queues for group in self.situation.slots.groups}
        for slot in self.situation.slots:
            if slot.queues not in wanted and not slot.is_surplus:
                self._give_up(slot)

    def _give_up(self, slot: Slot) -> None:
        slot.is_surplus = True
        for child in slot.children():
            holding.tell(self.situation, child)

    def _take_back(self, slot: Slot) -> None:
        """Keep a worker that is still at its task; one that leaves already makes room, with one at most beside it."""
        slot.is_surplus = False
        for child in slot.children():
            holding.tell(self.situation, child)
        if slot.child is not None and _is_leaving(slot) and not slot.leaving:
            slot.leaving.append(slot.child)
            slot.child, slot.successor = slot.successor, None
        retirement.let_go(self.situation)

    def _empty(self, slot: Slot) -> None:
        """Send away who has no task, and remove the place once nobody is left."""
        for child in slot.children():
            if not child.draining_for and not child.page.tasks():
                ending.drain(self.situation, child, REASON)
        if not any(slot.children()):
            self.situation.slots.remove(slot)

    def _follow(self) -> None:
        """Tell those who wait; a change is over when its groups are as it wants them, or another has overtaken it."""
        slots = self.situation.slots
        leaving = sum(slot.is_surplus for slot in slots)
        text = f"{slots.ready} of {slots.target} workers up" + (f", {leaving} leaving" if leaving else "")
        for change, goals in self.followed:
            if any(group.wanted != wanted for group, wanted in goals.items()):
                change.failed(f"overtaken by another order: {slots.target} workers are wanted now")
            elif all(_is_fitted(slots, group) for group in goals):
                change.done(workers_target=slots.target)
            elif text != self.told:
                change.say(text, ready=slots.ready, leaving=leaving)
        self.told = text
        self.followed = [each for each in self.followed if not each[0].is_over]

    def _give_up_changes(self) -> None:
        for change, _goals in self.followed:
            change.failed(STOPPING)
        self.followed = []


def pages_for(workers: int, concurrency: int) -> int:
    """Return how many pages so many workers need: each may have a successor, and two may not want to die."""
    return (2 * workers + 2) * (1 + pages_of(concurrency))


def _first_to_go(slot: Slot) -> tuple[int, int]:
    """Sort places by how little is lost with them: empty ones, then idle ones, then the highest numbers."""
    if slot.child is None:
        return 0, -slot.number
    return 1 + len(slot.child.page.tasks()), -slot.number


def _is_leaving(slot: Slot) -> bool:
    return slot.child is None or bool(slot.child.draining_for)


def _is_fitted(slots: Slots, group: Group) -> bool:
    return all(slot.is_ready and not slot.is_surplus for slot in slots.of(group))
