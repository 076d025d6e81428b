"""SQLite: one writer at a time, so nothing is locked by row; a lock file lets the writers of this host queue fairly."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from bgtasks.queue.engine import Ended, Engine, Row
from bgtasks.queue.inserts import sqlite as inserts
from bgtasks.queue.request import Call, Stored
from bgtasks.queue.rows import LIVE, SHARED, names, taken_along
from bgtasks.queue.turnstile import locked
from bgtasks.queue.types import Holder
from bgtasks.queue.zones import in_utc, with_zone
from bgtasks.queue_filters import QueueFilter, filter_of

EVERY_QUEUE = "SELECT name FROM bgtasks_queue WHERE paused_at IS NULL OR paused_until <= %(now)s"
NAMED_QUEUES = """
SELECT column1 AS name FROM (VALUES {queues}) WHERE column1 NOT IN (
    SELECT name FROM bgtasks_queue
    WHERE paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > %(now)s))
"""
# A pattern is looked for among the rows. Not by LIKE, to which capital letters and small ones are the same.
MATCHING_QUEUES = f"SELECT name FROM bgtasks_queue WHERE ({EVERY_QUEUE.partition(' WHERE ')[2]}) AND {{meant}}"
BEGINS = "substr(name, 1, length(%({prefix})s)) = %({prefix})s"
# The head of each queue, merged: a correlated IN with a LIMIT is what SQLite has for LATERAL. NOT INDEXED: by the row's
# id, or statistics of a table that was nearly empty let it walk through another index from end to end.
CLAIM = f"""
UPDATE bgtasks_task SET status = 2, claim = %(token)s, attempts = attempts + 1, locked_by = %(holder)s,
    locked_at = %(now)s, locked_until = %(until)s,
    unique_key = CASE WHEN unique_key LIKE 'waiting:%%' THEN NULL ELSE unique_key END
WHERE id IN (
    SELECT task.id FROM ({{queues}}) AS served CROSS JOIN bgtasks_task AS task NOT INDEXED ON task.id IN (
        SELECT head.id FROM bgtasks_task AS head
        WHERE head.status = 1 AND head.queue = served.name AND head.run_at <= %(now)s {{known}}
        ORDER BY head.claim_order, head.run_at, head.id LIMIT %(want)s)
    ORDER BY task.claim_order, task.run_at, task.id LIMIT %(want)s)
RETURNING {names(LIVE)}
"""

TO_HISTORY = f"""
INSERT INTO bgtasks_completedtask ({names(SHARED)}, due_at, outcome, result, finished_at, failed_at)
SELECT {taken_along("ended.column4")}, COALESCE(task.due_at, task.run_at), ended.column3, ended.column5,
    %s, CASE WHEN ended.column3 <> 10 THEN %s END
FROM (VALUES {{ended}}) AS ended CROSS JOIN bgtasks_task AS task
    ON task.id = ended.column1 AND task.claim = ended.column2 AND task.status = 2
RETURNING id, "repeat"
"""
HELD_BY = "_bgtasks_turnstile_held_by"
"""Attribute of a connection: the process that holds the turnstile by it. A fork copies this, but not the turn."""
RESERVE = "DELETE FROM bgtasks_queue WHERE 1 = 0"
FORGET = "DELETE FROM bgtasks_task WHERE id IN ({ids})"


class SQLite(Engine):
    """Writes under BEGIN IMMEDIATE; the database's clock is this host's."""

    lock = ""
    skip_locked = ""
    now = "%(now)s"
    lock_timeouts = ("timeout",)

    def after(self, seconds: str) -> str:
        return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', %(now)s, %({seconds})s || ' seconds')"

    def clock(self) -> dict[str, Any]:
        return {"now": self.to_database(timezone.now())}

    @property
    def row_time(self) -> Callable[[Any], datetime]:
        return _in_utc if in_utc(self.connection) else self.to_python

    def to_python(self, value: Any) -> datetime:
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
        return with_zone(read, self.connection)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with self.turnstile(), immediate(self.connection), super().transaction() as cursor:
            yield cursor

    @contextmanager
    def joined(self) -> Iterator[Any]:
        self.reserve()
        with super().joined() as cursor:
            yield cursor

    @contextmanager
    def atomic(self) -> Iterator[None]:
        with immediate(self.connection), super().atomic():
            yield

    def reserve(self) -> None:
        # a write of nothing, but first: a transaction that has read already cannot wait for the lock any more
        if self.connection.in_atomic_block:
            with self.connection.cursor() as cursor:
                cursor.execute(RESERVE)

    def turnstile(self) -> AbstractContextManager[None]:
        """Wait for this host's other writers: SQLite's own waiting is a sleep loop that starves some.

        Never inside a transaction: its owner would wait here for a writer that waits for the owner's write lock.
        Nor twice: what is called at the COMMIT, and enqueues, would wait for its own process.
        """
        name = str(self.connection.settings_dict["NAME"])
        if not self.is_between_transactions() or self.connection.is_in_memory_db():  # type: ignore[attr-defined]
            return nullcontext()
        if getattr(self.connection, HELD_BY, None) == os.getpid():
            return nullcontext()
        return self._held(f"{name}.bgtasks-lock")

    @contextmanager
    def _held(self, lock_file: str) -> Iterator[None]:
        with locked(lock_file):
            setattr(self.connection, HELD_BY, os.getpid())
            try:
                yield
            finally:
                setattr(self.connection, HELD_BY, None)

    def insert(self, row: Row, run_at: datetime | None) -> Row | None:
        return inserts.insert(self, row, run_at)

    def insert_many(self, row: Row, run_at: datetime | None, calls: Sequence[Call]) -> Stored:
        return inserts.insert_many(self, row, run_at, calls)

    def claim(self, cursor: Any, want: int, holder: Holder, token: int) -> list[Row]:
        now = timezone.now()
        parameters = {
            "now": self.to_database(now),
            "until": self.to_database(now + timedelta(seconds=self.lasting(holder.lease))),
            "want": want,
            "token": token,
            "holder": holder.name,
        }
        queues, known = EVERY_QUEUE, ""
        if holder.queues is not None:
            queues, named = self._served(filter_of(holder.queues))
            parameters |= named
        if holder.unknown:
            unknown, named = self.listed("unknown", sorted(holder.unknown))
            known = f"AND head.task_name NOT IN {unknown}"
            parameters |= named
        cursor.execute(CLAIM.format(queues=queues, known=known), parameters)
        rows: list[Row] = cursor.fetchall()
        return rows

    def _served(self, meant: QueueFilter) -> tuple[str, dict[str, Any]]:
        """Return the query for the names of the queues that are meant and not paused, and its parameters."""
        _, named = self.listed("queue", meant.names)
        asked = NAMED_QUEUES.format(queues=", ".join(f"(%({name})s)" for name in named))
        if not meant.prefixes:
            return asked, named
        _, wanted = self.listed("prefix", meant.prefixes)
        _, without = self.listed("without_prefix", meant.without_prefixes)
        apart, others = self.listed("apart", [*meant.names, *meant.without_names])
        conditions = [f"({' OR '.join(BEGINS.format(prefix=name) for name in wanted)})"]
        conditions += [f"NOT {BEGINS.format(prefix=name)}" for name in without]
        conditions += [f"name NOT IN {apart}"] * bool(others)
        matching = MATCHING_QUEUES.format(meant=" AND ".join(conditions))
        sql = f"{asked} UNION ALL {matching}" if named else matching
        return sql, {**named, **wanted, **without, **others}

    def finish(self, cursor: Any, ended: Sequence[Ended]) -> list[tuple[int, int]]:
        now = self.to_database(timezone.now())
        values = [value for one in ended for value in (one.task_id, one.token, one.status, one.error, one.result)]
        cursor.execute(TO_HISTORY.format(ended=", ".join(["(%s, %s, %s, %s, %s)"] * len(ended))), [now, now, *values])
        finished: list[tuple[int, int]] = cursor.fetchall()
        if finished:
            ids = [task_id for task_id, _ in finished]
            cursor.execute(FORGET.format(ids=", ".join(["%s"] * len(ids))), ids)
        return finished


@contextmanager
def immediate(connection: Any) -> Iterator[None]:
    """Let the transaction begin with the write lock: one that reads first could not get it any more (SQLITE_BUSY)."""
    connection.ensure_connection()
    mode, connection.transaction_mode = connection.transaction_mode, "IMMEDIATE"
    try:
        yield
    finally:
        connection.transaction_mode = mode


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC)
