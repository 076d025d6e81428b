"""What `@background` makes of a function: BackgroundTask. Its rows are written by `bgtasks.queue`, never here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack

from django.db import transaction

from bgtasks import conf
from bgtasks.arguments import encode_call, encode_result, hash_of
from bgtasks.calls import Arguments, due, encoded, new_row, store, store_many, store_or_find
from bgtasks.context import current_context
from bgtasks.due import TaskSchedule
from bgtasks.progress import Progress
from bgtasks.retries import Backoff
from bgtasks.task_options import TaskOptions, UsingOptions, changed, refuse_unknown
from bgtasks.waiting import await_until_over, wait_until_over

if TYPE_CHECKING:
    from bgtasks.models import CompletedTask, Task
    from bgtasks.queue.types import Claim

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
    is_coroutine: bool = field(init=False)
    """Whether a worker has to run what the function returns, in an event loop."""

    def __post_init__(self) -> None:
        function = self.task_function
        for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
            self.__dict__[attribute] = getattr(function, attribute, None)
        self.__dict__["__wrapped__"] = function
        self.__dict__["is_coroutine"] = iscoroutinefunction(function)

    @property
    def now(self) -> Callable[P, R]:
        """The function itself: runs here and now, and touches no table. One that takes the context is given it."""
        if self.options.takes_context:
            return partial(self.task_function, current_context())  # type: ignore[arg-type]  # P is what follows it
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
        if self.is_coroutine:
            return False  # the ORM of a coroutine works in another thread, on another connection
        return conf.usable().atomic if self.options.atomic is None else self.options.atomic

    @property
    def settle(self) -> str:
        """When a success is written down, "batch" or "each": by the decorator, else the setting."""
        return self.options.settle or conf.usable().settle

    @property
    def keeps_result(self) -> bool:
        """Whether what the function returns is kept with the history: by the decorator."""
        return self.options.keep_result

    def function_for(self, claim: Claim) -> Callable[..., Any]:
        """Return what a worker calls with the arguments of this claim."""
        return self.now if self.options.takes_context else self.task_function

    def kept_form(self, value: Any) -> str:
        """Return a return value as the JSON text that is kept. Raises TaskArgumentError for what JSON cannot hold."""
        return encode_result(self.name, value)

    def return_value(self, task_id: int) -> R:
        """Return what a task of this function returned; `keep_result=True` keeps it. Touches the history alone.

        Raises LookupError while it is not over, if it did not succeed, or if its row is pruned.
        """
        from bgtasks.queue import claims  # imports models

        return claims.return_value(task_id, self.name)  # type: ignore[no-any-return]

    def wait(self, task_id: int, timeout: float | None = None) -> CompletedTask:
        """Return a task of this function when it is over, however it ended. Raises TimeoutError after so many seconds.

        Raises LookupError if there is no such task, or it is deleted meanwhile. Not for inside of a transaction.
        """
        from bgtasks.queue import claims  # imports models

        return wait_until_over(task_id, partial(claims.over, task_id, self.name), timeout)

    async def await_(self, task_id: int, timeout: float | None = None) -> CompletedTask:
        """Do what `wait` does, from a coroutine: others run meanwhile."""
        from bgtasks.queue import claims  # imports models

        return await await_until_over(task_id, partial(claims.over, task_id, self.name), timeout)

    def progress(self, task_id: int) -> Progress | None:
        """Return what a task of this function has told last of how far it is; None: nothing, in this attempt.

        Raises LookupError if there is no such task, or its row is pruned.
        """
        from bgtasks.queue import claims  # imports models

        return claims.progress_of(task_id, self.name)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Store a task that calls the function with these arguments; return it, or the waiting one an action found."""
        return store_or_find(self._unsaved(args, kwargs, self.options), self.options)

    def enqueue_many(self, calls: Iterable[Arguments]) -> list[int]:
        """Store a task for each `(args, kwargs)`, all or none; return their ids in the order of the calls.

        `calls` may be a generator, and as long as you like: it is read while the rows are written, and what is
        returned is the ids, 4 MB for 100,000, where as many Task objects would take 220. A bad call raises
        TaskArgumentError with its position, and like anything that `calls` raises it leaves nothing stored.
        """
        return store_many(self.name, self.options, encoded(self.name, self.now, calls))

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
        task_params = encode_call(self.name, self.now, args, kwargs)
        run_at = due(options.schedule, self.name)
        return new_row(self.name, options, run_at, (task_params, hash_of(self.name, task_params)))
