"""The stacks of running processes, on request: ordered by a signal, collected when written. Nobody is waited for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bgtasksd.children.process import Process, handles, run_state
from bgtasksd.scoreboard.board import empty
from bgtasksd.supervisor.changes import Change
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.link import Link
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.states import State

LOOK_INTERVAL = 0.01
PATIENCE = 3.0
"""Seconds for all of them; a dump takes less than a millisecond, unless the process does not run at all."""
LARGEST_ANSWER = 384 * 1024
"""Bytes of text for one client, with room for what JSON adds."""
DEAF = frozenset({State.SPAWNING, State.KILLING, State.UNKILLABLE, State.EXITED})
"""States without a handler for the signal, or whose dump is wanted for the log."""


@dataclass(eq=False)
class Dump:
    """One process that was asked."""

    name: str
    owner: Child | Link
    process: Process
    facts: dict[str, Any]
    text: str | None = None
    """None while it is awaited."""

    @property
    def is_gone(self) -> bool:
        """Tell whether the process has ended and been reaped: its file may be closed, or another's."""
        return self.owner.process is not self.process or (isinstance(self.owner, Child) and not self.owner.is_alive)

    def collect(self, limit: int, *, is_late: bool) -> None:
        """Take the text if it is complete, or explain why there is none."""
        if self.is_gone:
            self.text = "(it ended before it had answered)"
            return
        has_begun = os.fstat(self.owner.dump).st_size > 0
        is_complete = has_begun and not handles(self.process.pid, signal.SIGUSR2)  # in this order: begun, then over
        if is_complete or is_late:
            state = run_state(self.process.pid) or "?"
            silence = f"(no answer in {PATIENCE:g} s; the process is in state {state})"
            size = min(limit, os.fstat(self.owner.dump).st_size)
            self.text = os.pread(self.owner.dump, size, 0).decode(errors="replace") or silence


@dataclass(eq=False)
class Asked:
    """One request."""

    change: Change
    dumps: list[Dump]
    deadline: float


class Stacks:
    """Serves the command `stacks`."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.asked: list[Asked] = []

    def ask(self, change: Change, slot: int | None = None) -> None:
        """Have the workers of one slot dump their stacks, or every process; the end of the change has the texts."""
        dumps = list(self._dumps(slot))
        pending = {dump.process for asked in self.asked for dump in asked.dumps if dump.text is None}
        for dump in dumps:
            if dump.process not in pending:  # else the one that is being written serves both
                empty(dump.owner.dump)
                dump.process.send_signal(signal.SIGUSR2)
        self.asked.append(Asked(change, dumps, self.situation.clock.now() + PATIENCE))

    def next_at(self) -> float | None:
        """Return when to look again."""
        return self.situation.clock.now() + LOOK_INTERVAL if self.asked else None

    def run(self) -> None:
        """Collect what is there, answer what is complete."""
        for asked in list(self.asked):
            try:
                self._collect(asked, self.situation.clock.now())
            except Exception:
                self.asked.remove(asked)  # or it would fail again in every turn, until the loop counts as broken
                asked.change.failed("the stacks cannot be read: the daemon's log has the traceback")
                raise

    def _collect(self, asked: Asked, now: float) -> None:
        limit = LARGEST_ANSWER // max(1, len(asked.dumps))
        for dump in asked.dumps:
            if dump.text is None:
                dump.collect(limit, is_late=now >= asked.deadline)
        if all(dump.text is not None for dump in asked.dumps):
            self.asked.remove(asked)
            processes = [{"process": each.name, **each.facts, "stacks": each.text} for each in asked.dumps]
            asked.change.done(processes=processes)

    def _dumps(self, slot: int | None) -> Iterator[Dump]:
        situation = self.situation
        for child in situation.slots.children():
            if slot in (None, child.slot) and child.process is not None and child.state not in DEAF:
                yield Dump(f"w{child.slot}", child, child.process, self._facts(child))
        for link in (situation.zygote, situation.maintenance) if slot is None else ():
            if link.process is not None and link.is_ready:
                yield Dump(
                    link.name, link, link.process, {"slot": None, "pid": link.pid, "task": None, "task_id": None}
                )

    def _facts(self, child: Child) -> dict[str, Any]:
        running = child.page.running()
        return {
            "slot": child.slot,
            "pid": child.pid,
            "task": ", ".join(dict.fromkeys(task.task_name for task in running)) or None,
            "task_id": ", ".join(str(task.task_id) for task in running) or None,
        }
