"""What travels between a worker and the queue: Holder, Claim, Outcome, Turn; and Death, Ending for the dead."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claims: the worker's name, the queues it serves, and how long a claim lasts unless renewed."""

    name: str
    lease: float
    queues: tuple[str, ...] | None = None
    """Names and patterns (`bgtasks.queue_filters`), of which those that are paused give nothing; None: every queue."""
    unknown: frozenset[str] = frozenset()
    """Task names this process does not know: left for a process that does."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one task, proved by a random token drawn at this claim."""

    task_id: int
    token: int
    task_name: str
    task_params: str
    queue: str
    attempts: int
    """Counts this attempt."""
    crashes: int
    max_attempts: int | None
    max_run_time: int | None
    run_at: datetime
    locked_at: datetime
    locked_by: str
    row: Mapping[str, Any] = field(repr=False, compare=False)
    """Every column of the task as it is now, for history, repetition and signals."""
    is_unwanted: bool = False
    """Somebody has asked to cancel it since it was claimed: it is not to be started."""


class Ending(enum.Enum):
    """How a dead worker ended, as far as the task it was running is concerned."""

    CRASHED = "crashed"
    LIMIT = "limit"
    OPERATOR = "operator"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    LEASE_LOST = "lease_lost"


class Result(enum.Enum):
    """How the execution of a claim ended."""

    SUCCESSFUL = "successful"
    RETRY = "retry"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"
    """Interrupted by a stop: back to its queue, not charged."""
    LOST = "lost"
    """The claim was lost while the task ran: nothing is written."""
    SETTLED = "settled"
    """Written already, inside the task's own transaction (`atomic=True`)."""


NOTHING_TO_WRITE = (Result.SETTLED, Result.LOST)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one claimed task ended; decided before it is written."""

    claim: Claim
    result: Result
    duration: float
    """Seconds, on the monotonic clock."""
    error: BaseException | None = None
    error_text: str = ""
    """The traceback from the task function down; what `last_error` shows."""
    retry_in: float = 0.0
    """Seconds until the next attempt; RETRY only."""
    value: Any = None
    """What the function returned."""
    kept: str | None = None
    """The same as JSON text, for the history; None: it is not kept."""
    progress: str | None = None
    """What the task has told last of how far it is, as JSON text; None: nothing."""
    repetition: int | None = None
    """Id of its repetition; SETTLED only: for all others the turn knows it."""

    @property
    def can_wait(self) -> bool:
        """Whether it may be written with others a little later: all there is to write is that it succeeded."""
        is_plain = self.result is Result.SUCCESSFUL and self.kept is None and self.progress is None
        return is_plain or self.result in NOTHING_TO_WRITE


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn brought."""

    claims: list[Claim]
    lost: list[Outcome]
    """Outcomes whose claim no longer matched: nothing was written for them."""
    repeated: dict[int, int]
    """Task id → id of its repetition."""
    cancelled: set[int] = field(default_factory=set)
    """Ids that were to run again, but somebody had asked to cancel them: they ended so."""


@dataclass(frozen=True, slots=True)
class Slow:
    """A task behind which others wait in its worker's batch; all of it seen at one moment, while it ran."""

    worker: str
    running: tuple[int, int]
    """(task id, token); the token is that of the whole batch."""
    finished: tuple[tuple[int, int, float], ...] = ()
    """(task id, token, duration) of tasks that succeeded and were not yet written down."""


@dataclass(frozen=True, slots=True)
class Death:
    """A worker confirmed dead, what it held, and why it ended."""

    worker: str
    ending: Ending
    reason: str
    running: tuple[tuple[int, int], ...] = ()
    """(task id, token) of each task that it was running and that answers for its end; all others are given back."""
    finished: tuple[tuple[int, int, float], ...] = ()
    """(task id, token, duration) of tasks that succeeded and were not yet written down."""
    are_suspects: bool = False
    """It held several tasks and nobody knows which one it ran: each is marked with a crash, and will run alone."""


@dataclass(frozen=True, slots=True)
class Release:
    """What became of one dead worker's tasks."""

    worker: str
    finished: list[int]
    retried: list[int]
    failed: list[int]
    cancelled: list[int]
    given_back: list[int]


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the workers of a host hold, as seen when their leases were renewed."""

    held: set[tuple[int, int]]
    """(task id, token)"""
    cancel_requested: list[tuple[int, int, str]]
    """(task id, token, worker) of running tasks that somebody wants to end."""
    now: datetime
    """By the database's clock."""
