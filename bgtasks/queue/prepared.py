"""PostgreSQL: the statements of a busy worker are parsed and planned once a second, and not each time they are run.

Planning is a third of a turn of 50 tasks, and three quarters of one that settles a single task. What others do on the
same connection is left as it is; behind a pooler, which may give every statement another connection, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

try:
    from psycopg import Cursor, errors
except ImportError:  # psycopg 2
    Cursor = None  # type: ignore[assignment, misc]

PLANS_LAST = 1.0
"""Seconds. A plan made while the table was small must not last: it would read a large one from end to end."""
SLOW = 0.02
"""Seconds. A statement that took longer is planned anew."""

_known: WeakKeyDictionary[Any, Plans] = WeakKeyDictionary()


def fetch_all(connection: BaseDatabaseWrapper, sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run one statement outside of any transaction and return its rows; by its kept plan where that is safe."""
    connection.ensure_connection()
    plans = _known.setdefault(connection.connection, Plans())
    begun = monotonic()
    try:
        if plans.can_be_kept(connection, begun):
            try:
                return _fetch_all(_preparing(connection), sql, parameters)
            except DatabaseError as error:
                if not _is_about_the_plan(error):
                    raise
                plans.are_kept = False  # nothing was done: it was refused before it began
        return _fetch_all(connection.cursor(), sql, parameters)
    finally:
        plans.used(begun, monotonic())


class Plans:
    """What is known of one connection of the driver."""

    def __init__(self) -> None:
        self.are_kept: bool | None = None
        """None: nobody has looked yet."""
        self.used_at = self.made_at = float("-inf")

    def can_be_kept(self, connection: BaseDatabaseWrapper, now: float) -> bool:
        """Say whether a statement may be run by a kept plan, once those that are too old are thrown away.

        A worker that turns now and then is better off without: it would plan each time all the same.
        """
        if now - self.used_at > PLANS_LAST or self.are_kept is False:
            return False
        if self.are_kept is None:
            self.are_kept = _can_prepare(connection)
        if self.are_kept and now - self.made_at > PLANS_LAST:
            _ask(connection, "DISCARD PLANS")
            self.made_at = now
        return self.are_kept

    def used(self, begun: float, ended: float) -> None:
        """Note when a statement was run, and that it is time for another plan if it took long."""
        self.used_at = ended
        if ended - begun > SLOW:
            self.made_at = float("-inf")


def _can_prepare(connection: BaseDatabaseWrapper) -> bool:
    """Say whether this connection is one to the server itself, by the process that it was told to be connected to.

    `OPTIONS = {"prepare_threshold": None}` says no.
    """
    options = connection.settings_dict["OPTIONS"]
    if Cursor is None or ("prepare_threshold" in options and options["prepare_threshold"] is None):
        return False
    (process,) = _ask(connection, "SELECT pg_backend_pid()").fetchone()
    return bool(process == connection.connection.info.backend_pid)


def _ask(connection: BaseDatabaseWrapper, sql: str) -> Any:
    """Send a statement about the connection: nothing that the project's own instruments are to count."""
    with connection.wrap_database_errors:
        return connection.connection.execute(sql)


def _fetch_all(opened: Any, sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with opened as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _preparing(connection: Any) -> Any:
    """Return a cursor of Django's around one that prepares what it runs."""
    return connection.make_cursor(_Preparing(connection.connection))


def _is_about_the_plan(error: DatabaseError) -> bool:
    """Say whether a statement was refused because of its name, unknown or taken, or because a table was changed."""
    kinds = (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement, errors.FeatureNotSupported)
    return isinstance(error.__cause__, kinds)


if Cursor is not None:

    class _Preparing(Cursor[Any]):
        """Django forbids prepared statements on the whole connection; this cursor asks for them while it executes."""

        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            before, self.connection.prepare_threshold = self.connection.prepare_threshold, 0
            try:
                return super().execute(query, params, prepare=True, **options)
            finally:
                self.connection.prepare_threshold = before
