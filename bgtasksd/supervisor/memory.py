"""The memory of workers, for `status`: what each shares with nobody, looked at every few seconds."""

from __future__ import annotations

from bgtasksd.children.process import unshared_bytes
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.situation import Situation

INTERVAL = 5.0
FIRST_LOOK = 1.0


class Memory:
    """Looks at one worker a turn: a look at a large process takes milliseconds."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.looked_at: dict[Child, float] = {}

    def next_at(self) -> float | None:
        """Return when the next look is due."""
        return min((self._due(child) for child in self.situation.slots.children()), default=None)

    def run(self) -> None:
        """Look at the worker that has waited longest, if its time has come."""
        children = self.situation.slots.children()
        self.looked_at = {child: at for child, at in self.looked_at.items() if child in children}
        now = self.situation.clock.now()
        due = [child for child in children if self._due(child) <= now]
        if due:
            child = min(due, key=self._due)
            self.looked_at[child] = now
            child.memory_bytes = unshared_bytes(child.pid) if child.pid else None

    def _due(self, child: Child) -> float:
        looked_at = self.looked_at.get(child)
        return child.spawned_at + FIRST_LOOK if looked_at is None else looked_at + INTERVAL
