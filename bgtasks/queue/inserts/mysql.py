"""INSERTs of MySQL, which has no RETURNING, and of MariaDB, which has it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import cache
from typing import Any

from django.db import IntegrityError, OperationalError

from bgtasks.queue.engine import Engine, Row
from bgtasks.queue.request import OF_CALL, Call, Stored, given
from bgtasks.queue.rows import names

DUPLICATE_KEY = 1062
INTO = "INSERT INTO bgtasks_task ({columns}, attempts, crashes, last_error, created_at, run_at, status) VALUES "
AT_ONCE = "0, 0, '', {now}, {now}, 1"
LATER = "0, 0, '', {now}, %(due)s, CASE WHEN %(due)s > {now} THEN 0 ELSE 1 END"
# Times travel as text: RETURNING brings those of all rows, and the driver spends 5 µs on each datetime.
STORED = "id, status, CAST(run_at AS CHAR), CAST(created_at AS CHAR)"
READ = f"SELECT {STORED} FROM bgtasks_task WHERE id = %s"


def insert(db: Engine, row: Row, run_at: datetime | None) -> Row | None:
    """Insert one request, as `Engine.insert` says."""
    columns, parameters = _given(db, row, run_at)
    into, values = _insert(columns, db.now, run_at is None)
    sql = into + values.replace("#", "")
    for last in (False, False, True):
        try:
            return _inserted(db, sql, parameters)
        except OperationalError as error:
            # Two inserts of one key can deadlock; inside a transaction that is the caller's to repeat.
            if last or not db.is_deadlock(error) or not db.is_between_transactions():
                raise
    return None


def insert_many(db: Engine, row: Row, run_at: datetime | None, calls: Sequence[Call]) -> Stored:
    """Insert a request for each call, as `Engine.insert_many` says."""
    columns, parameters = _given(db, row, run_at)
    into, values = _insert(columns, db.now, run_at is None)
    for at, (task_params, task_hash) in enumerate(calls):
        parameters[f"task_params{at}"], parameters[f"task_hash{at}"] = task_params, task_hash
    sql = into + ", ".join([values.replace("#", str(at)) for at in range(len(calls))])
    with _unseen_until_read(db), db.connection.cursor() as cursor:
        if _returns(db):
            cursor.execute(f"{sql} RETURNING {STORED}", parameters)
            found = cursor.fetchall()
            ids = [task_id for task_id, *_ in found]
        else:
            cursor.execute(sql, parameters)
            ids = _ids(cursor, len(calls))
            cursor.execute(READ, (ids[0],))
            found = cursor.fetchall()
    _, status, due, created_at = found[0]
    return Stored(ids, status, db.row_time(due), db.row_time(created_at))


@cache
def _insert(columns: tuple[str, ...], now: str, is_now: bool) -> tuple[str, str]:
    """Return the INSERT and one row of its values, with `#` where the number of a call goes.

    What the rows have in common is one parameter for all: the driver quotes it once.
    """
    values = ", ".join(f"%({name}#)s" if name in OF_CALL else f"%({name})s" for name in columns)
    computed = (AT_ONCE if is_now else LATER).format(now=now)
    return INTO.format(columns=names(columns, quote="`")), f"({values}, {computed})"


def _ids(cursor: Any, count: int) -> list[int]:
    """Return the ids of an INSERT whose number of rows was known beforehand: InnoDB takes them at one go."""
    first = cursor.lastrowid  # of the first row
    cursor.execute("SELECT @@auto_increment_increment")  # more than 1 in a cluster
    (step,) = cursor.fetchone()
    return list(range(first, first + count * step, step))


def _returns(db: Engine) -> bool:
    return bool(db.connection.features.can_return_columns_from_insert)


def _given(db: Engine, row: Row, run_at: datetime | None) -> tuple[tuple[str, ...], dict[str, Any]]:
    columns, values = given(row)
    due = None if run_at is None else db.to_database(run_at)
    return columns, {**dict(zip(columns, values, strict=True)), "due": due}


def _inserted(db: Engine, sql: str, parameters: dict[str, Any]) -> Row | None:
    with _unseen_until_read(db), db.connection.cursor() as cursor:
        try:
            cursor.execute(f"{sql} RETURNING {STORED}" if _returns(db) else sql, parameters)
        except IntegrityError as error:
            if error.args[0] != DUPLICATE_KEY:
                raise
            return None
        if not _returns(db):
            cursor.execute(READ, (cursor.lastrowid,))
        task_id, status, due, created_at = cursor.fetchone()
    return task_id, status, db.row_time(due), db.row_time(created_at)


def _unseen_until_read(db: Engine) -> AbstractContextManager[Any]:
    """Keep rows that a second statement has to read from the workers: one may be done with them by then."""
    return nullcontext() if _returns(db) or not db.is_between_transactions() else db.transaction()
