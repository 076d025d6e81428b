"""Pausing queues and letting them go on. Stored in the database: it counts on every host, and across restarts."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from datetime import timedelta

from bgtasks.exceptions import UnknownQueue
from bgtasks.models import Queue
from bgtasks.queue.engines import alias, engine
from bgtasks.queue.pausing import pause_rows, resume_rows
from bgtasks.queue_filters import QueueFilter, filter_of, patterns_of
from bgtasks.units import parse_duration


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
    lasting = None if for_ is None else timedelta(seconds=parse_duration(for_))
    with engine().joined():
        pause_rows(_rows(meant, new=new), lasting=lasting, reason=reason, by=by)
        return _rows(meant)


def resume(*queues: str) -> list[Queue]:
    """Let tasks of these queues start again; return the rows of those that were paused.

    Idle workers of this host, and on PostgreSQL of all hosts, begin at once, others with their next look at the queue.
    Raises UnknownQueue, and changes nothing, for a name without a queue and a pattern without any; ValueError for
    patterns that cannot be.
    """
    with engine().joined():
        return resume_rows(matching(*queues))


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
