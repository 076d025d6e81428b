"""The memory of workers, what each shares with nobody: looked at every few seconds, for `status` and the hard limit."""

from __future__ import annotations

import logging

from bgtasksd.children.process import unshared_bytes
from bgtasksd.supervisor import ending
from bgtasksd.supervisor.child import Cause, Child
from bgtasksd.supervisor.loop import NOTHING_NEW
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.states import ENDING

INTERVAL, INTERVAL_WITHOUT_LIMIT = 5.0, 10.0
FIRST_LOOK = 1.0


class Memory:
    """Looks at one worker at a time: a look at a large process takes milliseconds."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.looked_at: dict[Child, float] = {}
        self.looks_at = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two looks at a worker: a look is the dearest thing that the supervisor does."""
        return INTERVAL_WITHOUT_LIMIT if self.situation.options.max_memory_kill is None else INTERVAL

    def next_at(self) -> float | None:
        """Return when the next look is due."""
        return self.looks_at

    def run(self) -> object:
        """Look at the worker that has waited longest, if its time has come."""
        now = self.situation.clock.now()
        if now < self.looks_at:
            return NOTHING_NEW
        children = self.situation.slots.children()
        self.looked_at = {child: at for child, at in self.looked_at.items() if child in children}
        child = min(children, key=self._due, default=None)
        is_new = child is not None and self._due(child) <= now and self._look_at(child, now)
        self.looks_at = min([now + FIRST_LOOK, *map(self._due, children)])
        return None if is_new else NOTHING_NEW

    def _look_at(self, child: Child, now: float) -> bool:
        """Measure; kill a worker that has passed the hard limit. The soft one is its own affair, between tasks."""
        self.looked_at[child] = now
        child.memory_bytes = used = unshared_bytes(child.pid) if child.pid else None
        limit = self.situation.options.max_memory_kill
        if limit is None or used is None or used <= limit or child.state in ENDING:
            return False
        text = f"pid {child.pid} uses {used // 2**20} MB, more than --max-memory-kill ({limit // 2**20} MB) allows"
        self.situation.say(child, text, "memory_limit", logging.WARNING)
        ending.kill(self.situation, child, Cause.MEMORY_LIMIT)
        return True

    def _due(self, child: Child) -> float:
        looked_at = self.looked_at.get(child)
        return child.spawned_at + FIRST_LOOK if looked_at is None else looked_at + self.interval
