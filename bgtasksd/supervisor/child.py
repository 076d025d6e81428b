"""The supervisor's view of one worker process: what it is, where it is, why it is to end. Facts only, no policy."""

from __future__ import annotations

import enum
import os
import secrets
from collections import deque
from dataclasses import dataclass, field

from bgtasksd.children.channel import Channel
from bgtasksd.children.process import Process
from bgtasksd.scoreboard import Page, Reason, Record
from bgtasksd.supervisor.states import EDGES, IllegalEdge, State


class Cause(enum.StrEnum):
    """Why the supervisor ends a worker, or interrupts its task; also what `last_exit` then shows."""

    TIME_LIMIT = "time_limit"
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
    state: State = State.SPAWNING
    since: float = 0.0
    """When the state was entered."""
    process: Process | None = None
    booted_at: float | None = None
    record: Record = field(default_factory=Record)
    """As last read."""
    counter_moved_at: float = 0.0
    task_deadline: float | None = None
    drain_deadline: float | None = None
    cause: Cause | None = None
    """Why we end it, or interrupt its task."""
    grace: float = 0.0
    """How long an interrupted task gets."""
    step: int = 0
    """How far the escalation has come within its state."""
    interrupted_sequence: int = 0
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
