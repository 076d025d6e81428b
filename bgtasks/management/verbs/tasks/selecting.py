"""Which tasks are meant, by filters over the live table and the history: read through an index, in batches."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bgtasks.management.verbs import reading, text
from bgtasks.management.verbs.named_queues import understood
from bgtasks.management.verbs.statuses import LIVE, OVER, add_status
from bgtasks.units import parse_duration

if TYPE_CHECKING:
    from bgtasks.models import Status

BATCH = 500
"""Tasks read, and changed, at once."""
FILTERS = ("status", "queue", "name", "since", "error")
"""The options; none has a default."""
RECENT = 1000
"""The newest tasks of each table, among whose names a near one is looked for."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What all of the tasks have that are meant."""

    statuses: tuple[str, ...]
    queues: tuple[str, ...] | None = None
    """None, here and below: any."""
    name: str | None = None
    """Exactly, or how it begins, with a `*` at the end."""
    since: datetime | None = None
    """Enqueued since then if it is live, ended since then if it is over."""
    error: str | None = None
    """A part of the last error."""

    def live(self) -> Any:
        """Return the live ones as a queryset; none, if no status of theirs is meant."""
        from bgtasks.models import Task  # models exist only once Django is set up

        since = {} if self.since is None else {"created_at__gte": self.since}
        return self._filtered(Task, status__in=self._among(LIVE), **since)

    def over(self) -> list[Any]:
        """Return those that are over, a queryset for each outcome that is meant."""
        from bgtasks.models import CompletedTask  # models exist only once Django is set up

        since = {} if self.since is None else {"run_at__gte": self.since}
        return [self._filtered(CompletedTask, outcome=outcome, **since) for outcome in self._among(OVER)]

    def batches(self) -> Iterator[list[int]]:
        """Yield the ids of what there is now, some at a time; what was seen may be changed or deleted meanwhile."""
        from bgtasks.queue import claims  # imports models

        now = claims.database_now()
        if self._among(LIVE):
            yield from _by_id(self.live())
        for outcome in self.over():
            yield from _by_end(outcome.filter(run_at__lte=now))

    def count(self, cap: int) -> int:
        """Return how many there are, no further than `cap`."""
        found = 0
        for rows in (self.live(), *self.over()):
            found += rows.order_by().values("pk")[: cap - found].count() if found < cap else 0
        return found

    def _filtered(self, model: Any, **more: Any) -> Any:
        from bgtasks.queue import claims  # imports models

        rows = model.objects.using(claims.alias()).filter(**more)
        if self.queues is not None:
            rows = rows.filter(queue__in=self.queues)
        if self.name is not None:
            exactly = not self.name.endswith("*")
            rows = rows.filter(**{"task_name" if exactly else "task_name__startswith": self.name.removesuffix("*")})
        return rows if self.error is None else rows.filter(last_error__contains=self.error)

    def _among(self, names: Sequence[str]) -> list[Status]:
        from bgtasks.models import Status  # models exist only once Django is set up

        return [Status[name.upper()] for name in names if name in self.statuses]


def add_filters(parser: ArgumentParser, statuses: Sequence[str]) -> None:
    """Add the options that say which tasks are meant."""
    add_status(parser, statuses)
    parser.add_argument(
        "--queue",
        type=reading(text),
        action="append",
        metavar="QUEUE",
        help="only of these queues: names, prefixes 'mail*', exclusions '!slow'",
    )
    parser.add_argument("--name", type=reading(_name), metavar="NAME", help="only of this task function, or 'shop.*'")
    parser.add_argument(
        "--since", type=reading(parse_duration), metavar="TIME", help="enqueued, or ended, no longer ago than this"
    )
    parser.add_argument("--error", type=reading(_part), metavar="TEXT", help="only with this in their last error")


def is_filtered(given: Namespace) -> bool:
    """Return whether one of the options was given, even one that says what is meant without it."""
    return any(getattr(given, option) is not None for option in FILTERS)


def filters_of(given: Namespace, statuses: Sequence[str]) -> Filters:
    """Return what the options mean; without a status all of these. Raises NotDone for a queue that does not exist."""
    from bgtasks import queues  # imports models
    from bgtasks.queue import claims

    names = None
    if given.queue is not None:
        asked = [pattern for several in given.queue for pattern in several.split(",")]
        with understood():
            names = tuple(row.name for row in queues.matching(*asked))
    since = None if given.since is None else claims.database_now() - timedelta(seconds=given.since)
    return Filters(tuple(given.status or statuses), names, given.name, since, given.error)


def near_name(name: str | None) -> str:
    """Return a hint for a task function of which there is no task, or nothing."""
    if name is None:
        return ""
    from bgtasks.models import CompletedTask, Task  # models exist only once Django is set up
    from bgtasks.queue import claims

    known: set[str] = set()
    for model in (Task, CompletedTask):
        newest: Any = model
        known |= set(newest.objects.using(claims.alias()).order_by("-id").values_list("task_name", flat=True)[:RECENT])
    beginning = name.removesuffix("*")
    if any(each.startswith(beginning) for each in known):
        return ""
    shortened = {each.rpartition(".")[2]: each for each in known}
    near = difflib.get_close_matches(beginning, known, n=1) or difflib.get_close_matches(beginning, shortened, n=1)
    return f"did you mean --name {shortened.get(near[0], near[0])}?" if near else ""


def _by_id(rows: Any) -> Iterator[list[int]]:
    ids = rows.order_by("id").values_list("id", flat=True)
    newest = rows.model.objects.using(rows.db).order_by("-id").values_list("id", flat=True).first() or 0
    last = -1
    while found := list(ids.filter(id__gt=last, id__lte=newest)[:BATCH]):
        last = found[-1]
        yield found


def _by_end(rows: Any) -> Iterator[list[int]]:
    """Yield them in the order in which they ended: for that, and their outcome, there is an index."""
    from django.db.models import Q  # only after the front end has set Django up

    ends = rows.order_by("run_at", "id").values_list("run_at", "id")
    beyond = Q()
    while found := list(ends.filter(beyond)[:BATCH]):
        at, last = found[-1]
        beyond = Q(run_at__gte=at) & (Q(run_at__gt=at) | Q(id__gt=last))
        yield [task_id for _, task_id in found]


def _name(typed: str) -> str:
    if not typed:
        raise ValueError("the name is empty: leave --name away for tasks of every function")
    if "*" in typed[:-1]:
        raise ValueError(f"{typed!r}: `*` stands only at the end, as in {typed[: typed.index('*')] + '*'!r}")
    return text(typed)


def _part(typed: str) -> str:
    if not typed:
        raise ValueError("the text is empty: leave --error away for tasks with any error, or none")
    return text(typed)
