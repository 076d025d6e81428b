"""The rows of paused queues: from such a queue no engine claims, until the end of the pause by the database's clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import connections

from bgtasks import waking
from bgtasks.models import Queue
from bgtasks.queue.engines import alias, engine
from bgtasks.queue.upkeep import database_now

LONGEST_TEXT = 255
"""Characters of a reason, or of who has paused."""
LONGEST_PAUSE = timedelta(days=36500)
"""Beyond it the calendar ends sooner or later."""


def pause_rows(rows: Iterable[Queue], *, lasting: timedelta | None = None, reason: str = "", by: str = "") -> None:
    """Pause these queues; one that is paused already stays so, until this end. None: until somebody resumes it.

    Raises ValueError for a pause of no length or without end in the calendar, and for texts that are too long.
    """
    if lasting is not None and not timedelta() < lasting <= LONGEST_PAUSE:
        raise ValueError(f"{lasting} is no length of a pause: it ends some time after now, within a hundred years")
    if max(len(reason), len(by)) > LONGEST_TEXT:
        raise ValueError(f"who pauses and why have at most {LONGEST_TEXT} characters each")
    with engine().joined():
        there, now = _again(rows), database_now()
        end = None if lasting is None else now + lasting
        _update([row for row in there if not row.is_paused(now)], paused_at=now)
        _update(there, paused_until=end, paused_by=by, pause_reason=reason)


def resume_rows(rows: Iterable[Queue]) -> list[Queue]:
    """Let these queues go on, and wake workers for them; return those that were paused."""
    with engine().joined():
        there, now = _again(rows), database_now()
        _update(there, paused_at=None, paused_until=None, paused_by="", pause_reason="")
        paused = [row for row in there if row.is_paused(now)]
        for row in paused:
            waking.ready(connections[alias()], row.name)
    return paused


def _again(rows: Iterable[Queue]) -> list[Queue]:
    """Read the rows as they are by now."""
    return list(Queue.objects.using(alias()).filter(pk__in=[row.pk for row in rows]).order_by("name"))


def _update(rows: list[Queue], **columns: Any) -> None:
    Queue.objects.using(alias()).filter(pk__in=[row.pk for row in rows]).update(**columns)
