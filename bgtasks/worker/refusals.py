"""Outcomes that a database refuses although it is there: written one by one, and if need be in short."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from django.db import DataError, Error, IntegrityError, NotSupportedError, ProgrammingError

from bgtasks.exceptions import BackgroundTaskError
from bgtasks.execution import close_connections, failed
from bgtasks.queue import claims
from bgtasks.queue.types import Holder, Outcome, Result, Turn

logger = logging.getLogger("bgtasks.worker")

REFUSALS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""Trying the same again may help against any other database error: it is away, locked, or read-only for a while."""
LONGEST_REASON = 300
"""Characters of what the database says: it may quote what it refuses."""


@dataclass
class Written:
    """What came of writing outcomes one by one."""

    left: list[Outcome]
    """Not written, and worth another try."""
    settled: list[Outcome] = field(default_factory=list)
    """Written, as they are or in short; or dropped, which `turn` calls lost."""
    turn: Turn = field(default_factory=lambda: Turn([], [], {}))
    error: Exception | None = None
    """Why there is something left."""

    def add(self, outcome: Outcome, turn: Turn) -> None:
        """Note what one turn brought."""
        self.settled.append(outcome)
        self.turn.claims.extend(turn.claims)
        self.turn.lost.extend(turn.lost)
        self.turn.repeated.update(turn.repeated)
        self.turn.cancelled.update(turn.cancelled)


def is_refusal(error: Exception) -> bool:
    """Say whether a turn failed for what was to be written, and would fail again."""
    return isinstance(error, REFUSALS) or not isinstance(error, Error)


def write_singly(outcomes: Sequence[Outcome], holder: Holder) -> Written:
    """Write each outcome in a turn of its own, so that one that is refused keeps no other from being written."""
    written = Written(list(outcomes))
    while written.left:
        try:
            _write(written.left[0], holder, written)
        except Exception as error:  # noqa: BLE001 - whatever it is, outcomes are kept and the worker lives
            written.error = error
            break
        written.left.pop(0)
    return written


def _write(outcome: Outcome, holder: Holder, written: Written) -> None:
    """Write an outcome, else that it could not be written, else drop it. Raises if the database is away."""
    shown = outcome
    for _ in range(2):
        close_connections(claims.alias())  # a task may have left a session in which nothing can be written
        try:
            written.add(shown, claims.turn([shown], 0, holder))
        except Exception as error:
            if not is_refusal(error):
                raise
            refusal = error
            shown = in_short(outcome, error)
        else:
            return
    _drop(outcome, refusal, holder)
    written.add(outcome, Turn([], [outcome], {}))


def in_short(outcome: Outcome, refusal: Exception) -> Outcome:
    """Return the failed attempt, told in plain words, that stands for an outcome which was refused."""
    text = f"{_what_of(outcome)} could not be written: {_reason(refusal)}".encode("ascii", "backslashreplace").decode()
    error = BackgroundTaskError(text)
    error.__cause__ = outcome.error
    if outcome.result in (Result.RETRY, Result.FAILED, Result.CANCELLED):
        return replace(outcome, error=error, error_text=text)
    return replace(failed(error, outcome.claim, outcome.duration), error_text=text)


def _what_of(outcome: Outcome) -> str:
    if outcome.error is None:
        return f"The outcome of this attempt ({outcome.result.value})"
    kind = type(outcome.error)
    return f"What this attempt raised ({kind.__module__}.{kind.__qualname__})"


def _reason(refusal: Exception) -> str:
    line = next(iter(str(refusal).splitlines()), "")
    return f"{type(refusal).__name__}: {line[:LONGEST_REASON]}"


def _drop(outcome: Outcome, refusal: Exception, holder: Holder) -> None:
    """Say that an outcome is given up. Raises if other writes fail as well: then it is kept until they do not."""
    close_connections(claims.alias())
    claims.renew([holder.name], holder.lease)
    claim = outcome.claim
    logger.error(
        "task=%s name=%s outcome=%s dropped, the database refuses even a short note of it: %s; "
        "the task runs again when its lease ends or this worker has left",
        claim.task_id, claim.task_name, outcome.result.value, _reason(refusal),
        extra={"event": "outcome_dropped", "task_id": claim.task_id, "worker": holder.name},
    )  # fmt: skip
