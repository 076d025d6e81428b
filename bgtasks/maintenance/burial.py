"""Workers of this host that ended without a word: their rows stand, their processes are gone."""

from __future__ import annotations

from collections.abc import Collection

from bgtasks.identity import Identity, is_gone, this_process
from bgtasks.models import Status, Task, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue.types import Death, Ending


class Burial:
    """Finds them. `patience` leaves a supervisor the time to report a death itself: it knows more about it."""

    def __init__(self, patience: float = 0.0) -> None:
        self.patience = patience
        self._seen_gone: dict[str, float] = {}

    def found(self, spoken_for: Collection[str], now: float) -> list[Death]:
        """Return the deaths nobody has reported, but those of workers that somebody here speaks for."""
        me = this_process()
        rows = claims.workers_of_this_boot(me.host, me.boot_id, me.pid_namespace)
        gone = {row.name: row for row in rows if row.name not in spoken_for and is_gone(_identity_of(row))}
        self._seen_gone = {name: self._seen_gone.get(name, now) for name in gone}
        return [_death_of(gone[name]) for name, since in self._seen_gone.items() if now - since >= self.patience]


def _identity_of(row: WorkerProcess) -> Identity:
    return Identity(row.host, row.boot_id, row.pid_namespace, row.pid, row.start_ticks)


def _death_of(row: WorkerProcess) -> Death:
    """Return what is known of a worker that nobody saw die: if it held one task alone, that is what it was running."""
    held = list(Task.objects.using(claims.alias()).filter(status=Status.RUNNING, locked_by=row.name)[:2])
    running = ((held[0].id, held[0].claim),) if len(held) == 1 and held[0].claim is not None else ()
    reason = f"worker process {row.pid} is gone"
    return Death(row.name, Ending.CRASHED, reason, running=running, are_suspects=len(held) > 1)
