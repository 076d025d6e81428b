"""The supervisor's view of one worker process: what it is, where it is, why it is to end. Facts only, no policy."""

from __future__ import annotations

import enum
import os
import secrets
from collections import deque
from dataclasses import dataclass, field

from bgtasksd.children.channel import Channel
from bgtasksd.children.process import Process
from bgtasksd.scoreboard import Page, Reason, Record, WorkState
from bgtasksd.supervisor.states import EDGES, IllegalEdge, State


class Cause(enum.StrEnum):
    """Why the supervisor ends a worker, or interrupts its task; also what `last_exit` then shows."""

    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    STOP = "stopped"
    CANCELLED = "cancelled"
    CLAIM_LOST = "claim_lost"
    STUCK = "stuck"
    KILLED = "killed"
    BOOT_FAILURE = "boot_failure"


REASONS = {
    Cause.TIME_LIMIT: Reason.TIME_LIMIT,
    Cause.STOP: Reason.STOP,
    Cause.CANCELLED: Reason.CANCELLED,
    Cause.CLAIM_LOST: Reason.CLAIM_LOST,
}
"""The causes for which the task itself gets a chance to end, and what its order says."""


@dataclass
class Interruption:
    """A task that was told to end."""

    cause: Cause
    at: float
    grace: float
    """How long it gets: then the worker is killed."""
    is_repeated: bool = False

    @property
    def next_step_at(self) -> float:
        """When it is told once more, or the worker killed."""
        return self.at + (self.grace if self.is_repeated else self.grace / 2)


def new_worker_id() -> int:
    """Return a number that no worker of any daemon ever had."""
    return secrets.randbits(32)


@dataclass(eq=False)
class Child:
    """One worker process, from the request to the zygote until its death is reported."""

    slot: int
    generation: int
    worker: str
    page_index: int
    page: Page
    channel: Channel
    dump: int
    """Its dump file: stacks that faulthandler wrote, readable after its death."""
    spawned_at: float
    concurrency: int = 1
    """How many tasks may run in it side by side."""
    place_indexes: tuple[int, ...] = ()
    """The pages of its places, if these are several."""
    state: State = State.SPAWNING
    since: float = 0.0
    """When the state was entered."""
    process: Process | None = None
    booted_at: float | None = None
    record: Record = field(default_factory=Record)
    """As last read."""
    tasks: list[Record] = field(default_factory=list)
    """What it held then."""
    counter_moved_at: float = 0.0
    task_deadlines: dict[int, float] = field(default_factory=dict)
    """Of running tasks that have a limit, by their sequences."""
    drain_deadline: float | None = None
    cause: Cause | None = None
    """Why we end it."""
    interruptions: dict[int, Interruption] = field(default_factory=dict)
    """Of running tasks, by their sequences."""
    grace: float = 0.0
    """How long the last interrupted task gets."""
    step: int = 0
    """How far the escalation has come within its state."""
    limit: str = ""
    """The limit it has reached: it asks to leave."""
    asked_at: float = 0.0
    """When it asked."""
    draining_for: str = ""
    """Why it was told to leave."""
    bye: str = ""
    """The reason it gave when it left by itself."""
    error: str = ""
    """The traceback it sent."""
    was_stopped: bool = False
    is_unheld: bool = False
    """The zygote could not be told to end it should we die."""
    woken: int = -1
    """The loop counter when it was last woken: unchanged, it has not yet begun to look."""
    woken_at: float = 0.0
    memory_bytes: int | None = None
    history: deque[tuple[float, State]] = field(default_factory=lambda: deque(maxlen=20))

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def is_alive(self) -> bool:
        return self.state is not State.EXITED

    @property
    def has_booted(self) -> bool:
        return self.booted_at is not None

    @property
    def has_room_beside(self) -> bool:
        """Tell whether another task may be started beside those that run."""
        return self.page.places is not None and len(self.page.tasks()) < self.concurrency

    def look(self) -> None:
        """Read what it does."""
        self.record = self.page.read()
        self.tasks = self.page.tasks() if self.page.places else [self.record] if self.record.has_task else []

    def running(self) -> dict[int, Record]:
        """Return the tasks whose functions were running at the last look, by their sequences."""
        return {task.sequence: task for task in self.tasks if task.state is WorkState.BUSY}

    def charged(self) -> list[Record]:
        """Return the tasks that answer for its end: all, unless it was killed for what some did not obey."""
        if self.cause not in REASONS:
            return self.tasks
        told = {sequence for sequence, each in self.interruptions.items() if each.cause is self.cause}
        return [task for task in self.tasks if task.sequence in told]

    def enter(self, state: State, now: float) -> None:
        """Change the state. Raises IllegalEdge."""
        if state not in EDGES[self.state]:
            raise IllegalEdge(f"w{self.slot} cannot go from {self.state} to {state}; before: {self.path()}")
        self.history.append((self.since, self.state))
        self.state, self.since, self.step = state, now, 0

    def path(self) -> str:
        """Return the states it went through."""
        return " → ".join([*(str(state) for _, state in self.history), str(self.state)])

    def dumped(self) -> str:
        """Return what stands in the dump file."""
        size = os.fstat(self.dump).st_size
        return os.pread(self.dump, min(size, 65536), max(0, size - 65536)).decode(errors="replace")
