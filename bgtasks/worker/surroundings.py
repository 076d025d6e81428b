"""What one task leaves to the next: process, thread and connections, put right between the two."""

from __future__ import annotations

from collections.abc import Sequence

from bgtasks.environment import Environment
from bgtasks.execution import Activation, close_connections, tidy_connections
from bgtasks.queue.types import Claim
from bgtasks.worker.observer import Observer
from bgtasks.worker.reporting import report_leftovers


class Surroundings:
    """Make it before the first task, when signal handlers and streams are in place."""

    def __init__(self, descriptors: Sequence[int]) -> None:
        self.environment = Environment(descriptors)
        self.activation = Activation()

    def put_right(self, claim: Claim, observer: Observer) -> bool:
        """Put back what this task has changed; say whether there is damage with which no other task should start."""
        self.activation.restore()
        self.environment.descriptors.accept(observer.exchanged())
        changed = self.environment.restore()
        closed = tidy_connections()
        if changed:
            observer.restored(changed)
        report_leftovers(claim, changed, closed, self.environment)
        if self.environment.damage:
            close_connections()  # whoever closed our descriptors may have closed theirs
        return bool(self.environment.damage)
