"""Processes that dead workers have left behind: adopted by us, reported, and by policy ended. The dead are reaped."""

from __future__ import annotations

import logging
import os

from bgtasksd.children.process import Process, children, command, reap_strays
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.states import State

PATIENCE = 5.0
"""Seconds from SIGTERM to SIGKILL."""
INTERVAL = 5.0
REMEMBERED = 64

logger = logging.getLogger("bgtasksd.supervisor")


class Strays:
    """Children of ours that are neither workers nor zygote nor maintenance, nor in the group of a worker."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.looked_at = 0.0
        self.suspects: set[int] = set()
        """Seen once: a worker that is just being born looks the same."""
        self.told: dict[int, float] = {}
        """When each was reported, and sent SIGTERM."""
        self.before_us: set[int] = set()
        """Children that this process had already: what a script began before it executed us is none of our business."""

    def spare_those_before_us(self) -> None:
        """Leave alone for ever what is there now: nothing was forked yet."""
        self.before_us = set(children())

    def next_at(self) -> float | None:
        """Return when the next look is due."""
        return self.looked_at + (1.0 if self.suspects - self.told.keys() or self._are_waited_for() else INTERVAL)

    @property
    def are_ended(self) -> bool:
        """Whether they are ended, and not only reported: a reload may change that."""
        return self.situation.options.strays == "end"

    def _are_waited_for(self) -> bool:
        return self.are_ended and bool(self.told)

    def run(self) -> None:
        """Look for them, and end those that were there before."""
        at = self.next_at()
        if at is not None and at <= self.situation.clock.now():
            self.looked_at = self.situation.clock.now()
            self.look()

    def look(self) -> None:
        """Deal with every child nobody here knows, once it has been seen twice."""
        situation = self.situation
        spawning = any(child.state is State.SPAWNING for child in situation.slots.children())
        if spawning or any(link.is_awaited for link in (situation.maintenance, *situation.beside)):
            return
        found = self.left_behind()
        self.told = {pid: at for pid, at in self.told.items() if pid in found}
        for pid in found & self.suspects:
            self.deal_with(pid)
        self.suspects = found

    def deal_with(self, pid: int) -> None:
        """Report a process; where that is the policy ask it to end, and kill it when it does not."""
        now = self.situation.clock.now()
        if pid not in self.told:
            self.told[pid] = now
            words = (pid, command(pid), "ended" if self.are_ended else "left alone")
            logger.warning("pid %d was left behind by a worker: %s; it is %s", *words, extra={"event": "stray"})
            if self.are_ended:
                Process(pid).stop()
        elif self.are_ended and now - self.told[pid] >= PATIENCE:
            Process(pid).stop(at_once=True)

    def end_all(self) -> None:
        """Kill what is left when the daemon ends, where that is the policy."""
        if not self.are_ended:
            return
        for pid in self.left_behind():
            Process(pid).stop(at_once=True)

    def left_behind(self) -> set[int]:
        """Return the pids of children that neither belong here nor to a worker that lives.

        One whose parent has ended while its worker goes on, like `server &` in a shell, is still in its group.
        """
        known = self.known()
        unknown = set(children()) - known - self.before_us
        return {pid for pid in unknown if _group_of(pid) not in known}

    def known(self) -> set[int]:
        """Return the pids of the children that belong here."""
        situation = self.situation
        pids = {each.pid for each in (*situation.slots.children(), *situation.helpers())}
        return {pid for pid in pids if pid is not None}

    def reap(self) -> None:
        """Reap those that have ended, and remember the newest: one may be a worker whose pid is still to come."""
        reaped, ended = self.situation.strays_reaped, dict(reap_strays(self.known()))
        self.before_us.difference_update(ended)  # the number may be another's from now on
        reaped.update(ended)
        while len(reaped) > REMEMBERED:
            reaped.pop(next(iter(reaped)))


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
