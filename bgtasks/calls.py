"""What becomes of a call: the arguments as text, the row, when it is due, and how it is stored. Written by `queue`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bgtasks import signals
from bgtasks.arguments import encode_call, hash_of, shown
from bgtasks.due import TaskSchedule, stored_form
from bgtasks.exceptions import TaskArgumentError
from bgtasks.task_options import TaskOptions

if TYPE_CHECKING:
    from bgtasks.models import Task
    from bgtasks.queue.request import Call, Stored

Arguments: TypeAlias = tuple[tuple[Any, ...] | list[Any], dict[str, Any]]
"""The positional and the named arguments of one call."""

ROUNDS = 5
"""How often a waiting task that an action found may be taken by a worker before it is looked at."""


class DBTaskRunner:
    """The sender of `task_created`."""


def encoded(name: str, function: Callable[..., Any], calls: Iterable[Arguments]) -> Iterator[Call]:
    """Check and encode one call after the other. Raises TaskArgumentError naming the position of a bad one."""
    for at, call in enumerate(calls):
        if not _is_pair(call):
            raise TaskArgumentError(
                f"{name}: calls[{at}] is {shown(call)}: give a pair of arguments, such as ((17,), {{'note': 'x'}})"
            )
        try:
            task_params = encode_call(name, function, *call)
        except TaskArgumentError as error:
            reason = str(error).removeprefix(f"{name}: ")
            raise TaskArgumentError(f"{name}: calls[{at}]: {reason}") from None
        yield task_params, hash_of(name, task_params)


def _is_pair(call: Any) -> bool:
    if not isinstance(call, (tuple, list)) or len(call) != 2:
        return False
    args, kwargs = call
    named = isinstance(args, (tuple, list)) and isinstance(kwargs, dict)
    return named and (not kwargs or all(isinstance(key, str) for key in kwargs))


def due(schedule: TaskSchedule, name: str) -> datetime | None:
    """Return when a task is due, or None for at once: then the database's clock decides."""
    if schedule.is_now:
        return None
    now = timezone.now()
    if schedule.is_relative:
        from bgtasks.queue import claims  # imports models

        now = min(now, claims.database_now())  # a fast clock here must delay nothing
    try:
        return schedule.due(now)
    except ValueError as error:
        raise ValueError(f"{name}: schedule={schedule!r}: {error}") from None


def new_row(name: str, options: TaskOptions, run_at: datetime | None, call: Call) -> Task:
    """Return the unsaved row for one call."""
    from bgtasks.models import Task  # models exist only once the app registry is ready; decorating comes earlier

    task_params, task_hash = call
    task = Task.request(
        task_name=name,
        task_params=task_params,
        task_hash=task_hash,
        run_at=run_at,
        priority=options.schedule.priority,
        queue=options.queue or "default",
        max_attempts=options.max_attempts,
        max_run_time=options.max_run_time,
        repeat=options.repeat,
        repeat_until=options.repeat_until and stored_form(options.repeat_until),
        verbose_name=options.verbose_name,
        headers=options.headers,
    )
    if options.creator is not None:
        task.creator = options.creator
    return task


def store(task: Task, options: TaskOptions) -> bool:
    """Insert the task, as far as its action asks for it. Say whether a row was inserted."""
    from bgtasks.queue import claims  # imports models

    same_queue_only = options.queue is not None
    inserted = True
    if options.remove_existing_tasks:
        claims.replace_waiting(task)
    elif options.schedule.action == TaskSchedule.CHECK_EXISTING:
        inserted = claims.enqueue_unless_waiting(task, same_queue_only=same_queue_only)
    elif options.schedule.action == TaskSchedule.RESCHEDULE_EXISTING:
        inserted = claims.move_waiting_or_enqueue(task, same_queue_only=same_queue_only)
    else:
        claims.enqueue(task)
    if inserted:
        announce_stored(task)
    return inserted


def store_or_find(task: Task, options: TaskOptions) -> Task:
    """Insert the task and return it, or the waiting one that its action found instead."""
    for _ in range(ROUNDS):
        if store(task, options):
            return task
        found = _waiting_like(task, options)
        if found is not None:
            return found
    task.unique_key = None  # it cannot be seen from here, as in a transaction with an old snapshot: better twice
    store(task, replace(options, schedule=TaskSchedule()))
    return task


def store_many(name: str, options: TaskOptions, calls: Iterable[Call]) -> list[int]:
    """Insert a row for each call, or nothing; return the ids in order, of waiting tasks where an action found them."""
    from bgtasks.queue import claims  # imports models

    run_at = due(options.schedule, name)
    if options.remove_existing_tasks or options.schedule.action != TaskSchedule.SCHEDULE:
        with claims.whole():
            return [store_or_find(new_row(name, options, run_at, call), options).id for call in calls]
    like = new_row(name, options, run_at, ("", ""))
    ids: list[int] = claims.enqueue_many(like, calls, partial(_announce_many, name, options))
    if ids:
        _mention_missing_worker()
    return ids


def announce_stored(task: Task) -> None:
    """Send `task_created` when the insert is committed; in development mention that nobody will run it, if so."""
    from bgtasks.queue import claims  # imports models

    _mention_missing_worker()
    if signals.task_created.has_listeners(DBTaskRunner):
        transaction.on_commit(partial(_announce, task), using=claims.alias())


def _announce(task: Task) -> None:
    signals.announce(signals.task_created, DBTaskRunner, task=task)


def _announce_many(name: str, options: TaskOptions, calls: Sequence[Call], stored: Stored) -> None:
    """Announce these tasks after the commit; their objects are made one at a time, and only if somebody listens."""
    if not signals.task_created.has_listeners(DBTaskRunner):
        return
    from bgtasks.queue import claims  # imports models

    def announce() -> None:
        for call, task_id in zip(calls, stored.ids, strict=True):
            task = new_row(name, options, stored.run_at, call)
            claims.fill(task, (task_id, stored.status, stored.run_at, stored.created_at))
            _announce(task)

    transaction.on_commit(announce, using=claims.alias())


def _mention_missing_worker() -> None:
    if settings.DEBUG:
        from bgtasks.hints import mention_missing_worker  # imports models

        mention_missing_worker()


def _waiting_like(task: Task, options: TaskOptions) -> Task | None:
    """Return the waiting task that stood in the way of this one, if no worker has taken it meanwhile."""
    from bgtasks.queue import claims  # imports models

    alike = type(task).objects.using(claims.alias()).filter(task_hash=task.task_hash, locked_by=None)
    if options.queue is not None:
        alike = alike.filter(queue=options.queue)
    return alike.order_by("id").first()
