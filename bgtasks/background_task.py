"""What `@background` makes of a function: BackgroundTask. Its rows are written by `bgtasks.queue`, never here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack

from django.db import transaction

from bgtasks import conf
from bgtasks.arguments import encode_call, hash_of
from bgtasks.calls import Arguments, due, encoded, new_row, store, store_many, store_or_find
from bgtasks.due import TaskSchedule
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
        """Whether the function and its success are written in one transaction: by the decorator, else the setting."""
        return conf.usable().atomic if self.options.atomic is None else self.options.atomic

    @property
    def settle(self) -> str:
        """When a success is written down, "batch" or "each": by the decorator, else the setting."""
        return self.options.settle or conf.usable().settle

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Store a task that calls the function with these arguments; return it, or the waiting one an action found."""
        return store_or_find(self._unsaved(args, kwargs, self.options), self.options)

    def enqueue_many(self, calls: Iterable[Arguments]) -> list[int]:
        """Store a task for each `(args, kwargs)`, all or none; return their ids in the order of the calls.

        `calls` may be a generator, and as long as you like: it is read while the rows are written, and what is
        returned is the ids, 4 MB for 100,000, where as many Task objects would take 220. A bad call raises
        TaskArgumentError with its position, and like anything that `calls` raises it leaves nothing stored.
        """
        return store_many(self.name, self.options, encoded(self.name, self.task_function, calls))

    def enqueue_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Check and encode the call now, store it when the transaction on `default` commits; without one, at once."""
        task = self._unsaved(args, kwargs, self.options)
        transaction.on_commit(partial(store_or_find, task, self.options))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Do what `enqueue` does, from a coroutine."""
        from asgiref.sync import sync_to_async  # costs 10 ms, and most processes never need it

        return await sync_to_async(self.enqueue)(*args, **kwargs)

    async def aenqueue_many(self, calls: Iterable[Arguments]) -> list[int]:
        """Do what `enqueue_many` does, from a coroutine."""
        from asgiref.sync import sync_to_async  # costs 10 ms, and most processes never need it

        return await sync_to_async(self.enqueue_many)(calls)

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
        return task if store(task, options) else None

    def __str__(self) -> str:
        return f"BackgroundTask({self.name})"

    __repr__ = __str__

    def _unsaved(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: TaskOptions) -> Task:
        """Build the row for one call."""
        task_params = encode_call(self.name, self.task_function, args, kwargs)
        run_at = due(options.schedule, self.name)
        return new_row(self.name, options, run_at, (task_params, hash_of(self.name, task_params)))
