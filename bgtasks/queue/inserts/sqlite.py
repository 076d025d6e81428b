"""SQLite's INSERTs. The clock is this host's; ids of one statement follow one another, as there is one writer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.utils import timezone

from bgtasks.queue.engine import Row
from bgtasks.queue.request import Call, Stored, given
from bgtasks.queue.rows import names

INTO = "INSERT INTO bgtasks_task ({columns}, created_at, run_at, status, attempts, crashes, last_error)"
COMPUTED = "%s, %s, %s, 0, 0, ''"
INSERT = f"{INTO} VALUES ({{values}}, {COMPUTED}) ON CONFLICT (unique_key) DO NOTHING"
HASH_LENGTH = 40
# The calls travel as one JSON list, each as its hash with its arguments behind: no limit on parameters to mind.
INSERT_MANY = f"{INTO} SELECT {{values}}, {COMPUTED} FROM json_each(%s) ORDER BY key"
FROM_CALL = {"task_hash": f"substr(value, 1, {HASH_LENGTH})", "task_params": f"substr(value, {HASH_LENGTH + 1})"}


def insert(db: Any, row: Row, run_at: datetime | None) -> Row | None:
    """Insert one request, as `Engine.insert` says."""
    columns, values = given(row)
    status, due, now, computed = _computed(db, run_at)
    with db.turnstile(), db.connection.cursor() as cursor:
        cursor.execute(_insert(columns), (*values, *computed))
        return (cursor.lastrowid, status, due, now) if cursor.rowcount else None


def insert_many(db: Any, row: Row, run_at: datetime | None, calls: Sequence[Call]) -> Stored:
    """Insert a request for each call, as `Engine.insert_many` says."""
    columns, values = given(row)
    shared = [value for name, value in zip(columns, values, strict=True) if name not in FROM_CALL]
    status, due, now, computed = _computed(db, run_at)
    texts = json.dumps([task_hash + task_params for task_params, task_hash in calls])
    with db.turnstile(), db.connection.cursor() as cursor:
        cursor.execute(_insert_many(columns), (*shared, *computed, texts))
        last: int = cursor.lastrowid
    return Stored(list(range(last - len(calls) + 1, last + 1)), status, due, now)


def _computed(db: Any, run_at: datetime | None) -> tuple[int, datetime, datetime, tuple[Any, Any, int]]:
    """Return status, due time and the time now, and what is stored of them."""
    now = timezone.now()
    created_at = db.to_database(now)
    if run_at is None:
        return 1, now, now, (created_at, created_at, 1)
    status = 0 if run_at > now else 1
    return status, run_at, now, (created_at, db.to_database(run_at), status)


@cache
def _insert(columns: tuple[str, ...]) -> str:
    return INSERT.format(columns=names(columns), values=", ".join(["%s"] * len(columns)))


@cache
def _insert_many(columns: tuple[str, ...]) -> str:
    return INSERT_MANY.format(columns=names(columns), values=", ".join(FROM_CALL.get(name, "%s") for name in columns))
