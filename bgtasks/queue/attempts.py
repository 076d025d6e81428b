"""The record of failed attempts: written with the outcome, announced by a worker if maintenance wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bgtasks.models import TaskAttempt
from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import alias, engine
from bgtasks.queue.rows import storable
from bgtasks.queue.types import Outcome

INSERT = """
INSERT INTO bgtasks_taskattempt
    (task_id, attempt, worker, started_at, finished_at, exception, error, crashed, announced)
VALUES
    (%(task_id)s, %(attempt)s, %(worker)s, %(started_at)s, {now}, %(exception)s, %(error)s, %(crashed)s, %(announced)s)
"""


def record(db: Engine, cursor: Any, outcomes: Sequence[Outcome]) -> None:
    """Keep the error of each failed attempt."""
    for one in outcomes:
        claim = one.claim
        values = {"task_id": claim.task_id, "attempt": claim.attempts, "worker": claim.locked_by}
        kind = type(one.error)
        record_one(
            db,
            cursor,
            values | {"started_at": claim.locked_at},
            f"{kind.__module__}.{kind.__qualname__}",
            one.error_text,
        )


def record_one(  # noqa: PLR0913, a row is a row
    db: Engine,
    cursor: Any,
    attempt: dict[str, Any],
    exception: str,
    error: str,
    *,
    crashed: bool = False,
    announced: bool = True,
) -> None:
    """Keep one failed attempt: `attempt` holds task_id, attempt, worker and started_at."""
    started_at = attempt["started_at"]
    db.execute(
        cursor,
        INSERT.format(now=db.now),
        **{**attempt, "started_at": None if started_at is None else db.to_database(started_at)},
        exception=storable(exception)[:255],
        error=storable(error),
        crashed=crashed,
        announced=announced,
    )


def unannounced(limit: int) -> list[TaskAttempt]:
    """Return attempts that maintenance recorded for dead workers, whose signals a worker still has to send."""
    return list(TaskAttempt.objects.using(alias()).filter(announced=False).order_by("id")[:limit])


def announce(ids: Iterable[int]) -> int:
    """Note that the signals of these attempts were sent."""
    with engine().turnstile():
        return TaskAttempt.objects.using(alias()).filter(id__in=list(ids), announced=False).update(announced=True)
