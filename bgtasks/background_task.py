"""What `@background` makes of a function: BackgroundTask. Its rows are written by `bgtasks.queue`, never here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bgtasks import signals
from bgtasks.arguments import encode_call, hash_of
from bgtasks.due import TaskSchedule, stored_form
from bgtasks.retries import Backoff
from bgtasks.task_options import TaskOptions, UsingOptions, changed, refuse_unknown

if TYPE_CHECKING:
    from bgtasks.models import Task

P = ParamSpec("P")
R = TypeVar("R")

CALL_NAMES = (
    "schedule",
    "priority",
    "queue",
    "verbose_name",
    "creator",
    "repeat",
    "repeat_until",
    "remove_existing_tasks",
)
"""What a bare call takes out of the keyword arguments, as django-background-tasks did."""

ROUNDS = 5
"""How often a waiting task that an action found may be taken by a worker before it is looked at."""


class DBTaskRunner:
    """The sender of `task_created`."""


@dataclass(frozen=True, eq=False, repr=False)
class BackgroundTask(Generic[P, R]):
    """A function that can be called later, in a worker process."""

    name: str
    task_function: Callable[P, R]
    options: TaskOptions

    def __post_init__(self) -> None:
        function = self.task_function
        for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
            self.__dict__[attribute] = getattr(function, attribute, None)
        self.__dict__["__wrapped__"] = function

    @property
    def now(self) -> Callable[P, R]:
        """The function itself: runs here and now, and touches no table."""
        return self.task_function

    @property
    def schedule(self) -> TaskSchedule:
        return self.options.schedule

    @property
    def queue(self) -> str | None:
        return self.options.queue

    @property
    def remove_existing_tasks(self) -> bool:
        return self.options.remove_existing_tasks

    @property
    def backoff(self) -> Backoff | None:
        return self.options.backoff

    @property
    def atomic(self) -> bool:
        return self.options.atomic

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Store a task that calls the function with these arguments; return it, or the waiting one an action found."""
        task = self._unsaved(args, kwargs, self.options)
        for _ in range(ROUNDS):
            if _store(task, self.options):
                return task
            found = _waiting_like(task, self.options)
            if found is not None:
                return found
        task.unique_key = None  # it cannot be seen from here, as in a transaction with an old snapshot: better twice
        _store(task, replace(self.options, schedule=TaskSchedule()))
        return task

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Do what `enqueue` does, from a coroutine."""
        from asgiref.sync import sync_to_async  # costs 10 ms, and most processes never need it

        return await sync_to_async(self.enqueue)(*args, **kwargs)

    def using(self, **given: Unpack[UsingOptions]) -> BackgroundTask[P, R]:
        """Return a copy with other options. `max_run_time=None` means no limit; any other None means "not given"."""
        refuse_unknown(given, UsingOptions.__annotations__, f"{self.name}: using()")
        kept = {name: value for name, value in given.items() if value is not None or name == "max_run_time"}
        return replace(self, options=changed(self.options, kept, self.name))

    def __call__(self, *args: Any, **kwargs: Any) -> Task | None:
        """Store a task as django-background-tasks did, with options among the arguments. New code: `enqueue`."""
        given = {name: kwargs.pop(name) for name in CALL_NAMES if name in kwargs}
        for name in ("repeat", "repeat_until", "verbose_name"):
            if name in given and given[name] is None:
                del given[name]
        options = changed(self.options, given, self.name) if given else self.options
        task = self._unsaved(args, kwargs, options)
        return task if _store(task, options) else None

    def __str__(self) -> str:
        return f"BackgroundTask({self.name})"

    __repr__ = __str__

    def _unsaved(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: TaskOptions) -> Task:
        """Build the row for one call."""
        from bgtasks.models import Task  # models exist only once the app registry is ready; decorating comes earlier

        task_params = encode_call(self.name, self.task_function, args, kwargs)
        run_at: Any = _due(options.schedule, self.name)
        task = Task(
            task_name=self.name,
            task_params=task_params,
            task_hash=hash_of(self.name, task_params),
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
            task.creator_object_id = str(options.creator.pk)
        return task


def _due(schedule: TaskSchedule, name: str) -> datetime | None:
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


def _store(task: Task, options: TaskOptions) -> bool:
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
    if inserted and settings.DEBUG:
        from bgtasks.hints import mention_missing_worker  # imports models

        mention_missing_worker()
    if inserted and signals.task_created.has_listeners(DBTaskRunner):
        created = partial(signals.announce, signals.task_created, DBTaskRunner, task=task)
        transaction.on_commit(created, using=claims.alias())
    return inserted


def _waiting_like(task: Task, options: TaskOptions) -> Task | None:
    """Return the waiting task that stood in the way of this one, if no worker has taken it meanwhile."""
    from bgtasks.queue import claims  # imports models

    alike = type(task).objects.using(claims.alias()).filter(task_hash=task.task_hash, locked_by=None)
    if options.queue is not None:
        alike = alike.filter(queue=options.queue)
    return alike.order_by("id").first()
