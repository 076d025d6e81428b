"""`tasks list`: live tasks, the newest first, then those that are over, the latest first."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import Any

from bgtasks.management.verbs import Answer, number_up_to, reading
from bgtasks.management.verbs.statuses import LIVE, OVER
from bgtasks.management.verbs.tasks.selecting import Filters, add_filters, filters_of, near_name
from bgtasks.management.verbs.tasks.telling import facts_of, last_line
from bgtasks.output import table, terminal_width
from bgtasks.units import format_duration

SUMMARY = "List tasks: what waits and runs, then what is over."
EXAMPLES = """examples:
  bgtasksd tasks list                 the newest fifty
  bgtasksd tasks list --status failed --since 1h --error KeyError
  bgtasksd tasks list --queue mail --name 'shop.*' --limit 1000 --json

exit codes: 0 also if there is none; 1 there is no such queue, or no database; 2 usage"""
LIMIT, LARGEST = 50, 10_000
HEADINGS = ("id", "status", "queue", "name", "when", "attempts", "error")
COLUMNS = (
    "id", "task_name", "queue", "priority", "attempts", "crashes", "run_at", "created_at", "locked_by", "locked_at",
    "cancel_requested_at", "status", "outcome", "last_error_end",
)  # fmt: skip
ERROR_END = 400
"""Characters of an error that are read: its last line."""


def described(action: str) -> tuple[str, str, Callable[[ArgumentParser], None]]:
    """Return what the action is, examples, and what adds its arguments."""
    return SUMMARY, EXAMPLES, add_arguments


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the action takes."""
    add_filters(parser, (*LIVE, *OVER))
    parser.add_argument(
        "--limit", type=reading(number_up_to(LARGEST)), default=LIMIT, metavar="N",
        help=f"at most so many (default: {LIMIT})",
    )  # fmt: skip


def run(given: Namespace) -> Answer:
    """Read them. Raises NotDone."""
    filters = filters_of(given, (*LIVE, *OVER))
    rows = islice(_rows(filters, given.limit), given.limit)
    if getattr(given, "json", False):
        return Answer("", {}, lines=map(facts_of, rows))
    found = [_line(row) for row in rows]
    if not found:
        return Answer("", {}, talk="no such task" + (f"; {near}" if (near := near_name(given.name)) else ""))
    talk = f"the first {given.limit:,}; --limit shows more" if len(found) == given.limit else ""
    return Answer(table(found, HEADINGS, terminal_width()), {}, talk=talk)


def _rows(filters: Filters, limit: int) -> Iterator[dict[str, Any]]:
    """Yield rows as dictionaries: never with their arguments, and of an error only its end."""
    from django.db.models.functions import Right  # only after the front end has set Django up

    def read(rows: Any, *order: str) -> Iterator[dict[str, Any]]:
        there = {field.attname for field in rows.model._meta.concrete_fields} | {"last_error_end"}
        shown = rows.annotate(last_error_end=Right("last_error", ERROR_END)).order_by(*order)
        found: Iterator[dict[str, Any]] = shown.values(*(name for name in COLUMNS if name in there))[:limit].iterator()
        return found

    if set(filters.statuses) & set(LIVE):
        yield from read(filters.live(), "-id")
    over = [read(rows, "-run_at", "-id") for rows in filters.over()]
    yield from merge(*over, key=lambda row: (row["run_at"], row["id"]), reverse=True)


def _line(row: dict[str, Any]) -> list[Any]:
    from django.utils import timezone  # only after the front end has set Django up

    facts = facts_of(row)
    seconds = (timezone.now() - row["run_at"]).total_seconds()
    when = f"in {format_duration(-seconds)}" if seconds < 0 else f"{format_duration(seconds)} ago"
    error = last_line(row["last_error_end"])
    return [facts["id"], facts["status"], row["queue"], row["task_name"], when, str(row["attempts"]), error[:80]]
