"""MySQL and MariaDB: no RETURNING to rely on, so rows are locked and read, then written by id, under READ COMMITTED."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import OperationalError
from django.utils import timezone

from bgtasks.queue import rows as live
from bgtasks.queue.engine import Ended, Engine, Row, in_utc, looked_at, utc_offset, with_zone
from bgtasks.queue.inserts import mysql as inserts
from bgtasks.queue.request import Call, Stored
from bgtasks.queue.rows import LIVE, SHARED, TIMES, in_claim_order, names, taken_along
from bgtasks.queue.types import Holder
from bgtasks.queue.watermark import Piece
from bgtasks.queue_filters import filter_of

DEADLOCK = 1213
BY_ID = "FORCE INDEX (PRIMARY)"

QUEUES = """
SELECT name, paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > {now}) FROM bgtasks_queue
"""
# The index is named: a statistic taken at the wrong moment must not bring a sort of all ready rows.
HEAD = """
SELECT {columns} FROM bgtasks_task FORCE INDEX (bgtasks_task_ready)
WHERE status = 1 AND {within} AND run_at <= {now} {known}
ORDER BY claim_order, run_at, id LIMIT %(look)s {lock}
"""
# Times travel as text, decoded when somebody looks: the driver spends 5 µs on each. Not renamed, or ORDER BY sorts.
COLUMNS = ", ".join(f"CAST(`{name}` AS CHAR)" if name in TIMES else f"`{name}`" for name in LIVE)
LOCK_CHOSEN = f"""
SELECT {COLUMNS}, CAST({{now}} AS CHAR) FROM bgtasks_task {BY_ID}
WHERE id IN {{ids}} AND status = 1 FOR UPDATE SKIP LOCKED
"""
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
        if getattr(self.connection, "isolation_level", None) != "read committed":
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
        queues = self._open_queues(cursor, holder)
        if not queues:
            return []
        found = {row[0]: row for row in self._lock(cursor, queues, want, holder)}  # two names may be one queue
        rows = in_claim_order(found.values())[:want]
        if not rows:
            return []
        now = rows[0][-1]
        until = str(datetime.fromisoformat(now) + timedelta(seconds=self.lasting(holder.lease)))
        parameters = {"token": token, "holder": holder.name, "now": now, "until": until}
        cursor.execute(TAKE.format(ids=_in(row[0] for row in rows)), parameters)
        return [_taken(row, token, holder.name, now, until) for row in rows]

    def _open_queues(self, cursor: Any, holder: Holder) -> list[str]:
        cursor.execute(QUEUES.format(now=self.now))
        paused = dict(cursor.fetchall())
        if holder.queues is None:
            return [name for name, is_paused in paused.items() if not is_paused]
        # A name asked for may be written otherwise than in its row: most collations take both for one queue.
        alike = {name.casefold(): is_paused for name, is_paused in paused.items()}
        asked = filter_of(holder.queues).among(paused)
        return [name for name in asked if not paused.get(name, alike.get(name.casefold()))]

    def _lock(self, cursor: Any, queues: list[str], want: int, holder: Holder) -> list[Row]:
        """Lock the rows to be claimed; return them, each with the time at its end."""
        unknown, parameters = self.listed("unknown", sorted(holder.unknown))
        known = {"known": f"AND task_name NOT IN {unknown}" if holder.unknown else ""}
        rows: list[Row] = []
        for pieces in dict.fromkeys((self.pieces, ())):
            heads, named = self._heads(queues, pieces)
            parameters |= named
            is_short = False
            if len(heads) > 1 or want > 1:
                rows, is_short = self._lock_merged(cursor, heads, want, known, parameters)
            if len(rows) < want and not is_short:
                rows = self._lock_heads(cursor, heads, want, known, parameters)
            if len(rows) >= want:
                break
        return rows

    def _heads(self, queues: list[str], pieces: Sequence[Piece]) -> tuple[list[str], dict[str, Any]]:
        """Return a condition for each range of the index that is to be looked at, and their parameters."""
        heads: list[str] = []
        parameters: dict[str, Any] = {f"queue{at}": name for at, name in enumerate(queues)}
        for at, name in enumerate(queues):
            own = [piece for piece in pieces if piece.queue == name] or [Piece(name, None, None, None, None)]
            for number, (_, above, since, first, below) in enumerate(own):
                ranges = [f"queue = %(queue{at})s"]
                if since is not None:
                    parameters[f"since{at}_{number}"] = self.to_database(since)
                    begin = f"{ranges[0]} AND claim_order = {above} AND run_at"
                    heads.append(f"{begin} = %(since{at}_{number})s AND id >= {first}")
                    heads.append(f"{begin} > %(since{at}_{number})s")
                ranges += [f"claim_order > {above}"] * (above is not None)
                ranges += [f"claim_order < {below}"] * (below is not None)
                heads.append(" AND ".join(ranges))
        return heads, parameters

    def _lock_heads(
        self, cursor: Any, heads: list[str], want: int, known: dict[str, str], parameters: dict[str, Any]
    ) -> list[Row]:
        """Lock as many as are wanted at each head: nobody can be in the way."""
        found: list[Row] = []
        columns = f"{COLUMNS}, CAST({self.now} AS CHAR)"
        for head in heads:
            sql = HEAD.format(columns=columns, within=head, now=self.now, lock=self.skip_locked, **known)
            cursor.execute(sql, {**parameters, "look": want})
            found += cursor.fetchall()
        return found

    def _lock_merged(
        self, cursor: Any, heads: list[str], want: int, known: dict[str, str], parameters: dict[str, Any]
    ) -> tuple[list[Row], bool]:
        """Look at the head of each queue, then lock no more than what is wanted; say whether that was all.

        By id: a whole row found and locked through another index costs 80 µs, looked at and then locked 30.
        """
        columns, look = "id, claim_order, run_at", looked_at(want)
        merged = " UNION ALL ".join(
            f"({HEAD.format(columns=columns, within=head, now=self.now, lock='', **known)})" for head in heads
        )
        sql = f"{merged} ORDER BY claim_order, run_at, id LIMIT %(look)s"
        cursor.execute(sql, {**parameters, "look": look})
        seen = [row[0] for row in cursor.fetchall()]
        rows: list[Row] = []
        at = 0
        while at < len(seen) and len(rows) < want:
            chunk = seen[at : at + want - len(rows)]
            at += len(chunk)
            cursor.execute(LOCK_CHOSEN.format(ids=_in(chunk), now=self.now))
            rows += cursor.fetchall()
        return rows, len(seen) < look

    def finish(self, cursor: Any, ended: Sequence[Ended]) -> list[tuple[int, int]]:
        ids = _in(one.task_id for one in ended)
        claims = ", ".join(f"({int(one.task_id)}, {int(one.token)})" for one in ended)
        cursor.execute(LOCK_CLAIMED.format(ids=ids, claims=claims))
        finished: list[tuple[int, int]] = list(cursor.fetchall())
        standing = {task_id for task_id, _ in finished}
        if not standing:
            return []
        for (status, error, result), group in groupby(
            sorted((one for one in ended if one.task_id in standing), key=_written), key=_written
        ):
            sql = TO_HISTORY.format(ids=_in(one.task_id for one in group), now=self.now)
            cursor.execute(sql, {"status": status, "error": error or None, "result": result or None})
        gone = " UNION ALL ".join(f"SELECT {int(task_id)} AS id" for task_id in sorted(standing))
        cursor.execute(DELETE_GONE.format(gone=gone))
        return finished


def _in_utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _in(ids: Iterable[int]) -> str:
    """Return ids as `(1, 2)`, in one order for everybody: who locks in another one deadlocks."""
    return f"({', '.join(map(str, sorted(map(int, ids))))})"


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
