"""What every part of the supervisor looks at: options, time, loop, slots, the other processes. No policy is here."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from bgtasksd.children.exits import Exit, OomCounter
from bgtasksd.executions import Executions
from bgtasksd.exit_codes import EXIT_SOFTWARE
from bgtasksd.options import Options
from bgtasksd.scoreboard import Board
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.clock import Clock
from bgtasksd.supervisor.deaths import Deaths
from bgtasksd.supervisor.errand import Errand
from bgtasksd.supervisor.events import Events
from bgtasksd.supervisor.link import Link
from bgtasksd.supervisor.loop import Loop, nothing
from bgtasksd.supervisor.pacing import SpawnBudget
from bgtasksd.supervisor.slots import Slots
from bgtasksd.supervisor.totals import Totals

logger = logging.getLogger("bgtasksd.supervisor")


def everything(patterns: tuple[str, ...] | None, queue: str) -> bool:
    """Tell that any queue is meant."""
    return True


@dataclass
class Database:
    """What maintenance says of the database."""

    alias: str = "default"
    vendor: str | None = None
    is_migrated: bool = True
    """False: our tables are missing there."""
    is_reachable: bool | None = None
    """None: not yet known."""
    contact_at: float | None = None
    down_since: float | None = None


@dataclass(eq=False)
class Situation:
    """One daemon."""

    options: Options
    clock: Clock
    loop: Loop
    board: Board
    slots: Slots
    budget: SpawnBudget
    deaths: Deaths
    zygote: Link
    maintenance: Link
    started_at: float
    beside: list[Link] = field(default_factory=list)
    """Zygotes and maintenance of the next generation, which do not serve yet, and of earlier ones, which leave."""
    errands: list[Errand] = field(default_factory=list)
    """Children that do one thing and are gone."""
    totals: Totals = field(default_factory=Totals)
    executions: Executions = field(default_factory=Executions)
    events: Events = field(default_factory=Events)
    oom: OomCounter = field(default_factory=OomCounter)
    database: Database = field(default_factory=Database)
    host: str = field(default_factory=socket.gethostname)
    generation: int = 1
    """Of the application's code: a reload makes the next one."""
    serves: Callable[[tuple[str, ...] | None, str], bool] = everything
    """Tells whether these names and patterns mean a queue: the rule is not known here."""
    on_free: Callable[[], object] = nothing
    """Called when a worker has nothing to do, and was to say so."""
    on_more: Callable[[Child], object] = nothing
    """Called when a worker has found more work than it takes."""
    is_reloading: bool = False
    reload_failure: str = ""
    """Why the last reload failed; the generation before it goes on."""
    is_upgrading: bool = False
    """An upgrade was ordered: no reload begins before it."""
    is_stopping: bool = False
    is_draining: bool = False
    """No worker of this host starts a task."""
    ready_at: float | None = None
    """When READY was said."""
    error_text: str = ""
    """Why the daemon cannot go on."""
    error_code: int = EXIT_SOFTWARE
    given_back: int = 0
    strays_reaped: dict[int, Exit] = field(default_factory=dict)
    """Ended children nobody knew, the newest few: a worker may die before its pid is told."""
    queues: list[dict[str, object]] = field(default_factory=list)
    queues_left_out: int = 0
    """Of how many there are no figures: more than one message holds."""
    figures_at: float | None = None
    turned_at: float | None = None
    renewed_at: float | None = None
    are_workers_untold: bool = False
    """Maintenance reads nothing at the moment, and its line is full: it does not know who lives."""

    @property
    def was_ready(self) -> bool:
        """Tell whether READY was said."""
        return self.ready_at is not None

    def helpers(self) -> list[Link | Errand]:
        """Return every process of ours that is no worker; the zygote first, for maintenance may come out of it."""
        return [self.zygote, self.maintenance, *self.beside, *self.errands]

    def say(self, child: Child, text: str, event: str, level: int = logging.INFO) -> None:
        """Log one line about a worker."""
        logger.log(
            level,
            "w%d  %s",
            child.slot,
            text,
            extra={"event": event, "slot": child.slot, "worker_pid": child.pid, "worker": child.worker},
        )

    def warn(self, child: Child, text: str, event: str) -> None:
        """Log one line about a worker that somebody should see."""
        self.say(child, text, event, logging.WARNING)

    def note(self, child: Child, text: str, event: str) -> None:
        """Add an event about a worker that is too small for the log."""
        self.events.note(event, f"w{child.slot}  {text}", slot=child.slot, worker_pid=child.pid, worker=child.worker)

    def tell_workers(self) -> None:
        """Tell maintenance who lives: their claims are renewed. What does not fit into its line is told later.

        Not before it has booted, and been told of the dead: who is neither alive nor dead there is buried, and what
        stood in its ring would run again.
        """
        if not self.maintenance.is_ready:
            return
        names = [child.worker for child in self.slots.children() if child.is_alive]
        self.are_workers_untold = not (self.deaths.tell() and self.maintenance.send("workers", names=names))
