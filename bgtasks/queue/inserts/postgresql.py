"""PostgreSQL's INSERTs. Times come back as microseconds: the driver would spend 7 µs on reading a timestamp."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from bgtasks.queue.engine import Engine, Row
from bgtasks.queue.request import OF_CALL, Call, Stored, given
from bgtasks.queue.rows import names

INTO = "INSERT INTO bgtasks_task ({columns}, attempts, crashes, last_error, created_at, run_at, status)"
AT_ONCE = "0, 0, '', statement_timestamp(), statement_timestamp(), 1"
LATER = """0, 0, '', statement_timestamp(), %(due)s::timestamptz,
    CASE WHEN %(due)s::timestamptz > statement_timestamp() THEN 0 ELSE 1 END"""
MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint"

INSERT = f"""
{INTO} VALUES ({{values}}, {{computed}}) ON CONFLICT (unique_key) DO NOTHING
RETURNING id, status, {MICROSECONDS.format("run_at")}, {MICROSECONDS.format("created_at")}
"""
# The calls travel as two texts, a line for each: an array would be quoted element by element.
# Rows get their ids in the order of the sort; RETURNING promises no order, hence the second one.
INSERT_MANY = f"""
WITH stored AS (
    {INTO} SELECT {{values}}, {{computed}}
    FROM unnest(string_to_array(%(task_params)s, E'\\n'), string_to_array(%(task_hash)s, E'\\n'))
        WITH ORDINALITY AS call ({", ".join(OF_CALL)}, number)
    ORDER BY call.number
    RETURNING id, status, run_at, created_at)
SELECT array_agg(id ORDER BY id), min(status), {MICROSECONDS.format("min(run_at)")},
    {MICROSECONDS.format("min(created_at)")} FROM stored
"""


def insert(db: Engine, row: Row, run_at: datetime | None) -> Row | None:
    """Insert one request, as `Engine.insert` says."""
    columns, values = given(row)
    parameters = dict(zip(columns, values, strict=True))
    with db.connection.cursor() as cursor:
        cursor.execute(_insert(columns, run_at is None), {**parameters, "due": run_at})
        inserted = cursor.fetchone()
    if inserted is None:
        return None
    task_id, status, due, created_at = inserted
    return task_id, status, db.row_time(due), db.row_time(created_at)


def insert_many(db: Engine, row: Row, run_at: datetime | None, calls: Sequence[Call]) -> Stored:
    """Insert a request for each call, as `Engine.insert_many` says."""
    columns, values = given(row)
    # JSON text has no line breaks of its own.
    lines = {name: "\n".join([call[at] for call in calls]) for at, name in enumerate(OF_CALL)}
    parameters = {**dict(zip(columns, values, strict=True)), "due": run_at, **lines}
    with db.connection.cursor() as cursor:
        cursor.execute(_insert_many(columns, run_at is None), parameters)
        ids, status, due, created_at = cursor.fetchone()
    return Stored(ids, status, db.row_time(due), db.row_time(created_at))


@cache
def _insert(columns: tuple[str, ...], is_now: bool) -> str:
    values = ", ".join(f"%({name})s" for name in columns)
    return INSERT.format(columns=names(columns), values=values, computed=AT_ONCE if is_now else LATER)


@cache
def _insert_many(columns: tuple[str, ...], is_now: bool) -> str:
    values = ", ".join(f"call.{name}" if name in OF_CALL else f"%({name})s" for name in columns)
    return INSERT_MANY.format(columns=names(columns), values=values, computed=AT_ONCE if is_now else LATER)
