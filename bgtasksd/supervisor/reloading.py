"""Orders to reload: one reload at a time, and what everybody is told of it. Its steps are in `reload`."""

from __future__ import annotations

import logging
from typing import Protocol

from bgtasksd.supervisor.changes import STOPPING, Change, Changes
from bgtasksd.supervisor.errand import Body
from bgtasksd.supervisor.generations import Generations
from bgtasksd.supervisor.reload import Reload
from bgtasksd.supervisor.situation import Situation

logger = logging.getLogger("bgtasksd.supervisor")


class Notifier(Protocol):
    """systemd, as far as a reload has to do with it."""

    def reloading(self) -> None: ...
    def ready(self, status: str = "") -> None: ...


class Reloading:
    """One reload at a time. Any number of orders during one make one more."""

    def __init__(self, situation: Situation, generations: Generations, changes: Changes, notifier: Notifier) -> None:
        self.situation = situation
        self.generations = generations
        self.changes = changes
        self.notifier = notifier
        self.waiting: Change | None = None
        """Ordered and not yet begun."""
        self.reload: Reload | None = None
        """The one under way."""

    reread: Body
    """Writes the options as they are now, or what is wrong with them; called in a child."""
    database = ""
    """Names the database of the tasks."""

    is_owed = False
    """The workers have not yet the code that the supervisor has: this reload comes before the next upgrade."""

    def order(self) -> Change:
        """Order a reload: now, or after the one under way."""
        if self.waiting is None:
            self.waiting = self.changes.begin("reload")
        return self.waiting

    def next_at(self) -> float | None:
        """Return when a check has taken too long; everything else is an event."""
        return None if self.reload is None else self.reload.next_at()

    def run(self) -> None:
        """Take every step that can be taken now."""
        if self.situation.is_stopping:
            self._abort()
            return
        while self._begin() if self.reload is None else self._go_on(self.reload):
            pass

    def _begin(self) -> bool:
        situation = self.situation
        if self.waiting is None or not situation.was_ready or (situation.is_upgrading and not self.is_owed):
            return False
        self.is_owed = False
        change, self.waiting = self.waiting, None
        self.reload = Reload(situation, self.generations, change, self.reread, self.database)
        situation.is_reloading = True
        self.notifier.reloading()
        logger.info("reloading", extra={"event": "reloading"})
        return True

    def _go_on(self, reload: Reload) -> bool:
        reload.run()
        if reload.is_over:
            self._end(reload.failure)
            reload.conclude()
        return reload.is_over

    def _abort(self) -> None:
        """Leave everything to the stop."""
        if self.reload is not None:
            self.reload.give_up()
            self.reload.change.failed(STOPPING)
            self._end("")
        if self.waiting is not None:
            self.waiting.failed(STOPPING)
            self.waiting = None

    def _end(self, why: str) -> None:
        """Be done, on every path: a unit that never hears READY stays in its reload."""
        self.reload = None
        self.situation.is_reloading = False
        self.situation.reload_failure = why
        if not self.situation.is_stopping:
            self.notifier.ready()
