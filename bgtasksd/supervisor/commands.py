"""What the control socket can ask of a daemon, by name: a fixed table, and the words of refusal."""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from bgtasksd import journal, metrics
from bgtasksd.control import Command, CommandError
from bgtasksd.supervisor.changes import STOPPING
from bgtasksd.supervisor.events import KEPT
from bgtasksd.supervisor.replacing import slot_numbered
from bgtasksd.supervisor.stopping import Haste
from bgtasksd.systemd import journal_command

if TYPE_CHECKING:
    from bgtasksd.supervisor.run import Supervisor


class Commands:
    """The commands of one supervisor. Each takes a request and returns the data of the answer; none of them waits."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.situation = supervisor.situation

    def table(self) -> dict[str, Command]:
        """Return every command by its name."""
        any_time = {
            "ping": self.ping,
            "status": self.supervisor.viewing.status,
            "workers": self.workers,
            "metrics": self.metrics,
            "config": self.config,
            "events": self.events,
            "stacks": self.stacks,
            "log-level": self.log_level,
            "reopen": self.reopen,
            "stop": self.stop,
            "resume": self.resume,
        }
        while_running = {
            "scale": self.scale,
            "drain": self.drain,
            "retire": self.retire,
            "kill": self.kill,
            "reload": self.reload,
            "upgrade": self.upgrade,
        }
        return any_time | {name: partial(self._unless_stopping, command) for name, command in while_running.items()}

    def _unless_stopping(self, command: Command, request: dict[str, Any]) -> dict[str, Any]:
        if self.situation.is_stopping:
            raise CommandError(STOPPING)
        return command(request)

    def ping(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return who answers."""
        options = self.situation.options
        names = "version", "settings", "instance"
        return {"pid": os.getpid(), **{name: getattr(options, name) for name in names}}

    def workers(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return what `status` says of the workers alone."""
        return {"workers": self.supervisor.viewing.status()["workers"]}

    def metrics(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the figures as Prometheus reads them."""
        totals = self.situation.totals
        return {"text": metrics.text(self.supervisor.viewing.status(), totals.exits, self.situation.executions)}

    def config(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the options in force."""
        return {"options": dataclasses.asdict(self.situation.options)}

    def events(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the last `n` events; with `wait` the client hears of every further one."""
        count = request.get("n", KEPT)
        if not isinstance(count, int) or not 0 <= count <= KEPT:
            raise CommandError(f"n is a number from 0 to {KEPT}, not {count!r}")
        return self.supervisor.following.accepted(events=self.situation.events.last(count), journal=journal_command())

    def stacks(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have the processes dump their stacks, all or the workers of one slot; the end of the change has them."""
        slot = request.get("slot")
        if slot is not None:
            slot_numbered(self.situation.slots, slot)
        change = self.supervisor.changes.begin("stacks")
        self.supervisor.stacks.ask(change, slot)
        return change.accepted()

    def log_level(self, request: dict[str, Any]) -> dict[str, Any]:
        """Log from now on what is at least as grave as `level`, in every process."""
        level = str(request.get("level", "")).upper()
        if level not in journal.LEVELS:
            raise CommandError(f"{request.get('level')!r} is no log level; there are {', '.join(journal.LEVELS)}")
        return self.supervisor.journaling.set_level(level)

    def reopen(self, request: dict[str, Any]) -> dict[str, Any]:
        """Open the log file again, in every process that has it open."""
        path, trouble = self.supervisor.journaling.reopen()
        if trouble is not None:
            raise CommandError(f"the log file cannot be opened again: {trouble}")
        return {"log_file": path}

    def reload(self, request: dict[str, Any]) -> dict[str, Any]:
        """Load options and code again; while that is under way already, once more after it."""
        return self.supervisor.reloading.order().accepted(generation=self.situation.generation)

    def upgrade(self, request: dict[str, Any]) -> dict[str, Any]:
        """Go on with the daemon's own new code, in place; a reload follows."""
        return self.supervisor.upgrading.order().accepted(version=self.situation.options.version)

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to stop; `now` interrupts running tasks."""
        stopping = self.supervisor.stopping
        answer = stopping.change.accepted(
            workers=len(self.situation.slots.children()),
            running=stopping.running(),
            drain_timeout=self.situation.options.drain_timeout,
        )
        stopping.begin(Haste.FAST if request.get("now") else Haste.FINISH)
        return answer

    def scale(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have so many `workers`: a number, a difference like "+2", or either for each group by its name."""
        return self.supervisor.scaling.order(request.get("workers"))

    def drain(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start no task on this host; `exit` stops the daemon once none runs."""
        return self.supervisor.draining.begin(exits=bool(request.get("exit")))

    def resume(self, request: dict[str, Any]) -> dict[str, Any]:
        """Undo `drain`."""
        return self.supervisor.draining.undo()

    def retire(self, request: dict[str, Any]) -> dict[str, Any]:
        """Replace the workers of these `slots`, or all, after their task."""
        slots = request.get("slots", [])
        if not isinstance(slots, list):
            raise CommandError(f"slots is a list of numbers, not {slots!r}")
        return self.supervisor.replacing.retire(slots)

    def kill(self, request: dict[str, Any]) -> dict[str, Any]:
        """Kill the worker of this `slot`."""
        return self.supervisor.replacing.kill(request.get("slot"))
