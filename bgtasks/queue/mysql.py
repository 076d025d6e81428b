"""MySQL and MariaDB: no RETURNING to rely on, so rows are locked and read, then written by id, under READ COMMITTED."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import OperationalError
from django.utils import timezone

from bgtasks.queue import rows as live
from bgtasks.queue.choosing.mysql import BY_ID, COLUMNS, in_one_order, locked, open_queues
from bgtasks.queue.engine import Ended, Engine, Row
from bgtasks.queue.inserts import mysql as inserts
from bgtasks.queue.request import Call, Stored
from bgtasks.queue.rows import LIVE, SHARED, in_claim_order, names, taken_along
from bgtasks.queue.types import Holder
from bgtasks.queue.zones import in_utc, utc_offset, with_zone

DEADLOCK = 1213

# The SET list is evaluated from left to right: no column is read after it was written.
TAKE = f"""
UPDATE bgtasks_task {BY_ID} SET status = 2, claim = %(token)s, attempts = attempts + 1, locked_by = %(holder)s,
    locked_at = %(now)s, locked_until = %(until)s,
    unique_key = CASE WHEN unique_key LIKE 'waiting:%%' THEN NULL ELSE unique_key END
WHERE id IN {{ids}}
"""
LOCK_CLAIMED = f"""
SELECT id, `repeat` FROM bgtasks_task {BY_ID}
WHERE id IN {{ids}} AND (id, claim) IN ({{claims}}) AND status = 2 FOR UPDATE
"""
TO_HISTORY = f"""
INSERT INTO bgtasks_completedtask ({names(SHARED, quote="`")}, due_at, outcome, result, finished_at, failed_at)
SELECT {taken_along("%(error)s", "`")}, COALESCE(task.due_at, task.run_at), %(status)s, %(result)s,
    {{now}}, CASE WHEN %(status)s <> 10 THEN {{now}} END
FROM bgtasks_task AS task {BY_ID} WHERE task.id IN {{ids}}
"""
# Only with a condition beside the ids, such as the status: for `WHERE id IN (…)` alone MariaDB ignores the hint.
DELETE = f"DELETE bgtasks_task FROM bgtasks_task {BY_ID}"
# By a join: there is no other condition, and a scan of a small table waits for everybody's rows.
DELETE_GONE = f"DELETE task FROM ({{gone}}) AS gone STRAIGHT_JOIN bgtasks_task AS task {BY_ID} ON task.id = gone.id"


class MySQL(Engine):
    """Columns hold time without a zone: the clock is UTC's, shifted to the connection's zone."""

    by_id = BY_ID
    live_columns = COLUMNS
    delete_task = DELETE
    connect_timeouts = ("connect_timeout",)
    answer_timeouts = ("read_timeout", "write_timeout")

    @property
    def now(self) -> str:
        shift = utc_offset(self.connection, timezone.now())
        return f"(UTC_TIMESTAMP(6) + INTERVAL {shift} SECOND)" if shift else "UTC_TIMESTAMP(6)"

    def after(self, seconds: str) -> str:
        return f"({self.now} + INTERVAL CAST(%({seconds})s * 1000000 AS SIGNED) MICROSECOND)"

    @property
    def row_time(self) -> Callable[[Any], datetime]:
        return _in_utc if in_utc(self.connection) else self._local_time

    def _local_time(self, text: str) -> datetime:
        return with_zone(datetime.fromisoformat(text), self.connection)

    def to_python(self, value: Any) -> datetime:
        return with_zone(value, self.connection)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        is_a_part = self.connection.in_atomic_block  # of a test's transaction, which cannot change any more
        if not is_a_part and getattr(self.connection, "isolation_level", None) != "read committed":
            # For the next transaction only. Django's default is this level for all; others lock gaps, and deadlock.
            with self.connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        with super().transaction() as cursor:
            yield cursor

    def is_deadlock(self, error: Exception) -> bool:
        return isinstance(error, OperationalError) and error.args[:1] == (DEADLOCK,)

    def insert(self, row: Row, run_at: datetime | None) -> Row | None:
        return inserts.insert(self, row, run_at)

    def insert_many(self, row: Row, run_at: datetime | None, calls: Sequence[Call]) -> Stored:
        return inserts.insert_many(self, row, run_at, calls)

    def claim(self, cursor: Any, want: int, holder: Holder, token: int) -> list[Row]:
        queues = open_queues(self, cursor, holder)
        if not queues:
            return []
        found = {row[0]: row for row in locked(self, cursor, queues, want, holder)}  # two names may be one queue
        rows = in_claim_order(found.values())[:want]
        if not rows:
            return []
        now = rows[0][-1]
        until = str(datetime.fromisoformat(now) + timedelta(seconds=self.lasting(holder.lease)))
        parameters = {"token": token, "holder": holder.name, "now": now, "until": until}
        cursor.execute(TAKE.format(ids=in_one_order(row[0] for row in rows)), parameters)
        return [_taken(row, token, holder.name, now, until) for row in rows]

    def finish(self, cursor: Any, ended: Sequence[Ended]) -> list[tuple[int, int]]:
        ids = in_one_order(one.task_id for one in ended)
        claims = ", ".join(f"({int(one.task_id)}, {int(one.token)})" for one in ended)
        cursor.execute(LOCK_CLAIMED.format(ids=ids, claims=claims))
        finished: list[tuple[int, int]] = list(cursor.fetchall())
        standing = {task_id for task_id, _ in finished}
        if not standing:
            return []
        for (status, error, result), group in groupby(
            sorted((one for one in ended if one.task_id in standing), key=_written), key=_written
        ):
            sql = TO_HISTORY.format(ids=in_one_order(one.task_id for one in group), now=self.now)
            cursor.execute(sql, {"status": status, "error": error or None, "result": result or None})
        gone = " UNION ALL ".join(f"SELECT {int(task_id)} AS id" for task_id in sorted(standing))
        cursor.execute(DELETE_GONE.format(gone=gone))
        return finished


def _in_utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _taken(row: Row, token: int, holder: str, now: str, until: str) -> Row:
    """Return a row as it is after `TAKE`; the time at its end stays off."""
    taken = list(row[: len(LIVE)])
    taken[live.STATUS], taken[live.TOKEN], taken[live.LOCKED_BY] = 2, token, holder
    taken[live.LOCKED_AT], taken[live.LOCKED_UNTIL] = now, until
    taken[live.ATTEMPTS] += 1
    if (taken[live.UNIQUE_KEY] or "").startswith("waiting:"):
        taken[live.UNIQUE_KEY] = None
    return tuple(taken)


def _written(one: Ended) -> tuple[int, str, str]:
    return one.status, one.error or "", one.result or ""
