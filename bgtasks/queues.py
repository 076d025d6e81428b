"""Pausing queues and letting them go on. Stored in the database: it counts on every host, and across restarts."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from django.db import connections

from bgtasks import waking
from bgtasks.exceptions import UnknownQueue
from bgtasks.models import Queue
from bgtasks.queue.engines import alias, engine
from bgtasks.queue.upkeep import database_now
from bgtasks.queue_filters import QueueFilter, filter_of, patterns_of
from bgtasks.units import parse_duration

LONGEST_TEXT = 255
"""Characters of a reason, or of who has paused."""


def pause(
    *queues: str, for_: timedelta | float | str | None = None, reason: str = "", by: str = "", new: bool = False
) -> list[Queue]:
    """Let no task of these queues start until `resume`, or until `for_` is over; return their rows.

    Names and patterns (`mail*`, `!slow`); a pattern means the queues there are now. A running task finishes. A queue
    that is paused already stays so, under this reason and until this end. `for_` is a timedelta, seconds or "30m".
    Raises UnknownQueue, and pauses nothing, for a name without a queue (`new` makes it) and a pattern without any;
    ValueError for patterns and durations that cannot be.
    """
    meant = filter_of(patterns_of(queues))
    with engine().joined():
        pause_rows(_rows(meant, new=new), for_=for_, reason=reason, by=by)
        return _rows(meant)


def pause_rows(
    rows: Iterable[Queue], *, for_: timedelta | float | str | None = None, reason: str = "", by: str = ""
) -> None:
    """Do to the queues of these rows what `pause` does. Raises ValueError for a duration that cannot be."""
    lasting = _lasting(for_)
    if max(len(reason), len(by)) > LONGEST_TEXT:
        raise ValueError(f"who pauses and why have at most {LONGEST_TEXT} characters each")
    with engine().joined():
        there, now = _again(rows), database_now()
        end = None if lasting is None else now + lasting
        _update([row for row in there if not row.is_paused(now)], paused_at=now)
        _update(there, paused_until=end, paused_by=by, pause_reason=reason)


def resume(*queues: str) -> list[Queue]:
    """Let tasks of these queues start again; return the rows of those that were paused.

    Idle workers of this host, and on PostgreSQL of all hosts, begin at once, others with their next look at the queue.
    Raises UnknownQueue, and changes nothing, for a name without a queue and a pattern without any; ValueError for
    patterns that cannot be.
    """
    with engine().joined():
        return resume_rows(matching(*queues))


def resume_rows(rows: Iterable[Queue]) -> list[Queue]:
    """Do to the queues of these rows what `resume` does; return those that were paused."""
    with engine().joined():
        there, now = _again(rows), database_now()
        _update(there, paused_at=None, paused_until=None, paused_by="", pause_reason="")
        paused = [row for row in there if row.is_paused(now)]
        for row in paused:
            waking.ready(connections[alias()], row.name)
    return paused


def matching(*queues: str) -> list[Queue]:
    """Return the rows of the queues that these names and patterns mean. Raises as `resume` does."""
    return _rows(filter_of(patterns_of(queues)))


def _rows(meant: QueueFilter, *, new: bool = False) -> list[Queue]:
    there = Queue.objects.using(alias()).order_by("name")
    if new:
        there.ensure(meant.names)
    rows = list(there)
    _refuse_unknown(meant, [row.name for row in rows])
    return [row for row in rows if meant.matches(row.name)]


def _refuse_unknown(meant: QueueFilter, known: Collection[str]) -> None:
    for name in (*meant.names, *meant.without_names):
        if name not in known:
            raise UnknownQueue(name, difflib.get_close_matches(name, known, n=3), known)
    for prefix in meant.prefixes:
        if not any(name.startswith(prefix) and meant.matches(name) for name in known):
            raise UnknownQueue(f"{prefix}*", [], known)


def _again(rows: Iterable[Queue]) -> list[Queue]:
    """Read the rows as they are by now."""
    return list(Queue.objects.using(alias()).filter(pk__in=[row.pk for row in rows]).order_by("name"))


def _update(rows: list[Queue], **columns: Any) -> None:
    Queue.objects.using(alias()).filter(pk__in=[row.pk for row in rows]).update(**columns)


def _lasting(given: timedelta | float | str | None) -> timedelta | None:
    if given is None:
        return None
    seconds = parse_duration(given)
    if not 0 < seconds <= timedelta(days=36500).total_seconds():
        raise ValueError(f"{given!r} is no length of a pause: it ends some time after now, within a hundred years")
    return timedelta(seconds=seconds)
