"""New tasks: the INSERT, in the caller's transaction, and the ways not to have two that are equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models.signals import post_migrate
from django.utils import timezone

from bgtasks import waking
from bgtasks.models import Queue, Status, Task
from bgtasks.models.tasks import sign_for
from bgtasks.queue.engine import Engine, Row
from bgtasks.queue.engines import alias, engine
from bgtasks.queue.request import REQUEST, Call, Stored, request_of
from bgtasks.queue.rows import id_list

# Written by id, like everything else is: a write by hash would lock its index first, and deadlock on InnoDB.
MOVE = """
UPDATE bgtasks_task {by_id} SET priority = %(priority)s, due_at = NULL, run_at = {run_at},
    status = CASE WHEN {run_at} > {now} THEN 0 ELSE 1 END
WHERE id IN ({ids}) AND status IN (0, 1, 3)
"""
FIND = "SELECT id FROM bgtasks_task WHERE task_hash = %(hash)s AND status IN (0, 1, 3) {queue} ORDER BY id"
REMOVE = "{delete_task} WHERE id IN ({ids}) AND status IN (0, 1, 3)"
RUN_AT, UNTIL = Task._meta.get_field("run_at"), Task._meta.get_field("repeat_until")
UNTIL_AT = REQUEST.index("repeat_until")
ROUNDS = 5
"""How often two callers may get in each other's way: one inserts, a worker takes it, the next inserts again."""

_known: set[tuple[str, str]] = set()
"""(alias, name) of the queues that are known to have a row."""


def enqueue(task: Task) -> Task:
    """Store an unsaved task in the caller's transaction; fill id, status, run_at and created_at from the database.

    Due now (`run_at` None) and due in the past are READY, else SCHEDULED.
    """
    _insert(engine(), task)
    return task


def enqueue_unless_waiting(task: Task, *, same_queue_only: bool) -> bool:
    """Store a task unless an equal one is waiting; say whether it was stored. Of two callers one stores."""
    db = engine()
    task.unique_key = _waiting_key(task, same_queue_only)
    return not _waiting(db, task.task_hash, task.queue if same_queue_only else None) and _insert(db, task)


def move_waiting_or_enqueue(task: Task, *, same_queue_only: bool) -> bool:
    """Give all equal waiting tasks this one's time and priority. None there: store it, and return True."""
    db = engine()
    task.unique_key = _waiting_key(task, same_queue_only)
    for _ in range(ROUNDS):
        if _move(db, task, same_queue_only):
            return False
        if _insert(db, task):
            return True
    task.unique_key = None
    return _insert(db, task)


def replace_waiting(task: Task) -> Task:
    """Delete all equal waiting tasks and store this one, in one transaction."""
    db = engine()
    with db.joined():
        _remove(db, task.task_hash)
        _insert(db, task)
    return task


def remove_waiting(task_hash: str) -> int:
    """Delete the waiting tasks with this hash, in the caller's transaction; say how many there were."""
    return _remove(engine(), task_hash)


def _remove(db: Engine, task_hash: str) -> int:
    found = _waiting(db, task_hash)
    if not found:
        return 0
    with db.connection.cursor() as cursor:
        sql = REMOVE.format(delete_task=db.delete_task, ids=id_list(found))
        removed: int = db.execute(cursor, sql).rowcount
    return removed


def insert_many(db: Engine, like: Task, calls: Sequence[Call]) -> Stored:
    """Store a task like this one for each call, in one statement."""
    _prepare(db, like)
    stored = db.insert_many(_request(db, like), _due(like), calls)
    _wake(db, like.queue, stored)
    return stored


def fill(task: Task, inserted: Row) -> None:
    """Let a task know its row: (id, status, run_at, created_at)."""
    task.id, task.status, task.run_at, task.created_at = inserted
    task.priority_sign = sign_for(task.backend)
    task._state.adding, task._state.db = False, alias()
    task.remember()


def _insert(db: Engine, task: Task) -> bool:
    _prepare(db, task)
    inserted = db.insert(_request(db, task), _due(task))
    if inserted is None:
        return False
    fill(task, inserted)
    _wake(db, task.queue, task)
    return True


def _wake(db: Engine, queue: str, stored: Task | Stored) -> None:
    """Wake whoever runs what was stored, or makes it ready in time, after the commit."""
    if stored.status == Status.READY:
        waking.ready(db.connection, queue)
    else:
        waking.scheduled(db.connection, stored.run_at, stored.created_at)


def _prepare(db: Engine, task: Task) -> None:
    """See to what the row of a new task needs beside it and in it."""
    if (db.connection.alias, task.queue) not in _known:
        _make_queue(db, task.queue)
    task.priority_sign = sign_for(task.backend)
    task.attempts = task.crashes = 0


def _due(task: Task) -> Any:
    return None if task.run_at is None else RUN_AT.get_prep_value(task.run_at)


def _request(db: Engine, task: Task) -> Row:
    row: Row = request_of(task)
    if task.repeat_until is None:
        return row
    until = db.to_database(UNTIL.get_prep_value(task.repeat_until))
    return (*row[:UNTIL_AT], until, *row[UNTIL_AT + 1 :])


def _make_queue(db: Engine, name: str) -> None:
    """Make the queue's row; take it for known once that is committed (a rollback takes the row away again)."""
    database = db.connection.alias
    db.reserve()
    with db.turnstile():
        Queue.objects.using(database).ensure({name})
    if db.connection.in_atomic_block or db.connection.get_autocommit():  # else nobody tells when it is committed
        transaction.on_commit(lambda: _known.add((database, name)), using=database)


def _forget_queues(**kwargs: Any) -> None:
    _known.clear()


# `flush` ends with this signal too.
post_migrate.connect(_forget_queues, dispatch_uid="bgtasks: queues known")


def _waiting_key(task: Task, same_queue_only: bool) -> str:
    return f"waiting:{task.task_hash}" + (f":{task.queue}" if same_queue_only else "")


def _waiting(db: Engine, task_hash: str, queue: str | None = None) -> list[tuple[int]]:
    """Return the ids of the waiting tasks with this hash, of this queue if one is named."""
    condition = "" if queue is None else "AND queue = %(queue)s"
    db.reserve()
    with db.connection.cursor() as cursor:
        found = db.execute(cursor, FIND.format(queue=condition), hash=task_hash, queue=queue).fetchall()
    return list(found)


def _move(db: Engine, task: Task, same_queue_only: bool) -> int:
    found = _waiting(db, task.task_hash, task.queue if same_queue_only else None)
    if not found:
        return 0
    run_at, parameters = db.now, {"priority": task.priority}
    if task.run_at is not None:
        run_at, parameters["run_at"] = "%(run_at)s", db.to_database(RUN_AT.get_prep_value(task.run_at))
    sql = MOVE.format(by_id=db.by_id, run_at=run_at, now=db.now, ids=id_list(found))
    with db.connection.cursor() as cursor:
        moved: int = db.execute(cursor, sql, **parameters).rowcount
    if task.run_at is None or task.run_at <= timezone.now():
        waking.ready(db.connection, task.queue if same_queue_only else "")
    else:
        waking.scheduled(db.connection, task.run_at)
    return moved
