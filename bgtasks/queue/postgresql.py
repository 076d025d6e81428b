"""PostgreSQL: one statement each to enqueue, claim and settle. Statuses are literals, or no plan uses the index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from types import CodeType
from typing import Any

from django.conf import settings
from django.utils import timezone

from bgtasks.queue import prepared
from bgtasks.queue.choosing.postgresql import CHOSEN, claiming
from bgtasks.queue.engine import AtOnce, Ended, Engine, Row, looked_at
from bgtasks.queue.inserts import postgresql as inserts
from bgtasks.queue.request import Call, Stored
from bgtasks.queue.rows import LIVE, SHARED, TIMES, names, taken_along
from bgtasks.queue.types import Holder
from bgtasks.queue.zones import in_utc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Times travel as microseconds: Django's loader for them costs 10 µs each, five a row.
RETURNED = ", ".join(
    f'(extract(epoch FROM "{name}") * 1000000)::bigint AS "{name}"' if name in TIMES else f'"{name}"' for name in LIVE
)
LOCK = "FOR NO KEY UPDATE SKIP LOCKED"
TAKEN = f"""
taken AS (
    UPDATE bgtasks_task SET status = 2, claim = %(token)s, attempts = attempts + 1, locked_by = %(holder)s,
        locked_at = statement_timestamp(), locked_until = statement_timestamp() + %(lease)s * interval '1 second',
        unique_key = CASE WHEN unique_key LIKE 'waiting:%%' THEN NULL ELSE unique_key END
    WHERE id = ANY(ARRAY(SELECT id FROM chosen))
    RETURNING {RETURNED})
"""
CLAIM = f"""
WITH {CHOSEN}, {TAKEN}
SELECT (SELECT count(*) FROM seen), taken.* FROM (SELECT 1) AS always LEFT JOIN taken ON true
"""

# By id and nothing else: the index of what is running holds every row settled since the last vacuum, and `status = 2`
# let the planner read them all (20 ms for 50 rows after 10,000).
MOVED = f"""
ended AS (
    DELETE FROM bgtasks_task AS task
    USING unnest((SELECT %(ids)s::bigint[]), %(tokens)s::bigint[], %(statuses)s::smallint[], %(errors)s::text[],
        %(results)s::text[]) AS ended(id, token, status, error, result)
    WHERE task.id = ended.id AND task.claim = ended.token AND task.status + 0 = 2 {{only}}
    RETURNING {taken_along("ended.error")}, COALESCE(task.due_at, task.run_at) AS due_at,
        ended.status AS outcome, ended.result AS result
), moved AS (
    INSERT INTO bgtasks_completedtask ({names(SHARED)}, due_at, outcome, result, finished_at, failed_at)
    SELECT {names(SHARED)}, due_at, outcome, result, statement_timestamp(),
        CASE WHEN outcome <> 10 THEN statement_timestamp() END FROM ended
    RETURNING id, "repeat")
"""
FINISH = f'WITH {MOVED.format(only="")} SELECT id, "repeat" FROM moved'
WHAT_DOES_NOT_REPEAT = MOVED.format(only='AND task."repeat" <= 0')
FINISH_AT_ONCE = f"WITH {WHAT_DOES_NOT_REPEAT} SELECT id FROM moved"
# The ids stand in every row of the answer: they are sent only if some are missing.
# Settling and claiming touch different rows, so one statement does both: one round trip instead of four.
AT_ONCE = f"""
WITH {WHAT_DOES_NOT_REPEAT}, {CHOSEN}, {TAKEN}
SELECT CASE WHEN (SELECT count(*) FROM moved) < %(given)s THEN (SELECT array_agg(id) FROM moved) END,
    (SELECT count(*) FROM moved), (SELECT count(*) FROM seen), taken.*
FROM (SELECT 1) AS always LEFT JOIN taken ON true
"""


class PostgreSQL(Engine):
    """Locks rows with FOR NO KEY UPDATE SKIP LOCKED; the clock is that of the statement."""

    now = "statement_timestamp()"
    skip_locked = " FOR NO KEY UPDATE SKIP LOCKED"
    first = "LIMIT (SELECT %(limit)s)"  # expecting fewer rows than a limit it knows, it might sort them all
    live_columns = RETURNED
    connect_timeouts = ("connect_timeout",)

    @property
    def is_too_strict(self) -> bool:
        level = self.connection.settings_dict.get("OPTIONS", {}).get("isolation_level")
        if level is None:
            return False
        from django.db.backends.postgresql.psycopg_any import IsolationLevel  # needs the driver, an extra

        return level in (IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE)

    def wait_of_the_driver(self) -> CodeType | None:
        try:
            from psycopg import Connection  # an extra
        except ImportError:
            return None
        return Connection.wait.__code__

    def after(self, seconds: str) -> str:
        return f"(statement_timestamp() + %({seconds})s * interval '1 second')"

    @property
    def row_time(self) -> Callable[[Any], datetime]:
        return _at if in_utc(self.connection) else self._local_at

    def _local_at(self, microseconds: int) -> datetime:
        if not settings.USE_TZ:
            return timezone.make_naive(_at(microseconds), timezone.get_default_timezone())
        return _at(microseconds).astimezone(self.connection.timezone)

    def insert(self, row: Row, run_at: datetime | None) -> Row | None:
        return inserts.insert(self, row, run_at)

    def insert_many(self, row: Row, run_at: datetime | None, calls: Sequence[Call]) -> Stored:
        return inserts.insert_many(self, row, run_at, calls)

    def claim(self, cursor: Any, want: int, holder: Holder, token: int) -> list[Row]:
        taken: list[Row] = []
        for pieces in dict.fromkeys((self.pieces, ())):
            for lock_seen, look in (("", looked_at), (LOCK, int)):
                left = want - len(taken)
                clauses, parameters = claiming(left, holder, token, look(left), pieces)
                cursor.execute(CLAIM.format(**clauses, lock_seen=lock_seen), parameters)
                rows = cursor.fetchall()
                taken += [row[1:] for row in rows if row[1] is not None]
                if len(taken) == want:
                    return taken
                if rows[0][0] < parameters["look"]:
                    break
        return taken

    def finish(self, cursor: Any, ended: Sequence[Ended]) -> list[tuple[int, int]]:
        cursor.execute(FINISH, _ending(ended))
        finished: list[tuple[int, int]] = cursor.fetchall()
        return finished

    def at_once(self, ended: Sequence[Ended], want: int, holder: Holder, token: int) -> AtOnce:
        if not want:
            return self._finish_at_once(ended)
        clauses, parameters = claiming(want, holder, token, looked_at(want), self.pieces)
        sql = AT_ONCE.format(**clauses, lock_seen="")
        rows = prepared.fetch_all(self.connection, sql, {**parameters, **_ending(ended)})
        some, count, seen = rows[0][:3]
        finished = {one.task_id for one in ended} if count == len(ended) else set(some or ())
        taken = [row[3:] for row in rows if row[3] is not None]
        may_be_more = bool(self.pieces) or seen >= parameters["look"]
        return AtOnce(finished, taken, len(taken) < want and may_be_more)

    def _finish_at_once(self, ended: Sequence[Ended]) -> AtOnce:
        rows = prepared.fetch_all(self.connection, FINISH_AT_ONCE, _ending(ended))
        return AtOnce({task_id for (task_id,) in rows}, [], may_be_more=False)


def _ending(ended: Sequence[Ended]) -> dict[str, Any]:
    return {
        "given": len(ended),
        "ids": _numbers(one.task_id for one in ended),
        "tokens": _numbers(one.token for one in ended),
        "statuses": _numbers(one.status for one in ended),
        "errors": _texts([one.error for one in ended]),
        "results": _texts([one.result for one in ended]),
    }


def _numbers(values: Iterable[int]) -> str:
    """Return an array as its literal: to adapt a list costs the driver 20 µs a task."""
    return f"{{{','.join(map(str, map(int, values)))}}}"


def _texts(values: list[str | None]) -> str | list[str | None]:
    return values if any(value is not None for value in values) else f"{{{','.join(['NULL'] * len(values))}}}"


def _at(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
