"""`@background`: how a function becomes a task that workers find by its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, Unpack, overload

from bgtasks import registry
from bgtasks.background_task import CALL_NAMES, BackgroundTask
from bgtasks.calls import DBTaskRunner
from bgtasks.context import TaskContext
from bgtasks.due import ScheduleValue, TaskSchedule
from bgtasks.task_options import DecoratorOptions, TaskOptions, changed, read_text, refuse_unknown

P = ParamSpec("P")
R = TypeVar("R")

IN_THE_SIGNATURE = ("name", "schedule", "queue", "remove_existing_tasks", "takes_context")
"""What `background` takes beside `DecoratorOptions`."""


@overload
def background(name: Callable[P, R], /) -> BackgroundTask[P, R]: ...


@overload
def background(
    name: str | None = None,
    schedule: ScheduleValue = None,
    queue: str | None = None,
    remove_existing_tasks: bool = False,
    *,
    takes_context: Literal[True],
    **options: Unpack[DecoratorOptions],
) -> Callable[[Callable[Concatenate[TaskContext, P], R]], BackgroundTask[P, R]]: ...


@overload
def background(
    name: str | None = None,
    schedule: ScheduleValue = None,
    queue: str | None = None,
    remove_existing_tasks: bool = False,
    **options: Unpack[DecoratorOptions],
) -> Callable[[Callable[P, R]], BackgroundTask[P, R]]: ...


def background(
    name: Any = None,
    schedule: Any = None,
    queue: str | None = None,
    remove_existing_tasks: bool = False,
    *,
    takes_context: bool | None = None,
    **options: Unpack[DecoratorOptions],
) -> Any:
    """Make a function callable later: `@background`, `@background()` or `@background(queue="mail", max_attempts=3)`.

    Beside those in the signature it takes `priority`, `max_attempts`, `max_run_time` (None: no limit), `backoff`,
    `atomic`, `settle`, `keep_result`, `repeat`, `repeat_until` and `verbose_name`. With `takes_context=True` the
    function's first parameter is called `context`, and it is given its `TaskContext` there.
    """
    if callable(name):
        return _decorate(name, None, {})
    if name is not None and not isinstance(name, str):
        raise TypeError(f"background(): name={name!r}: it must be a string, or a function to decorate")
    refuse_unknown(options, [*IN_THE_SIGNATURE, *DecoratorOptions.__annotations__], "background()")
    given = {"schedule": schedule, "queue": queue, "remove_existing_tasks": remove_existing_tasks}
    given |= {"takes_context": takes_context, **options}
    return partial(_decorate, name=name, options=given)


def _decorate(function: Any, name: str | None, options: dict[str, Any]) -> BackgroundTask[..., Any]:
    """Make a task of a function, and register it."""
    if isinstance(function, BackgroundTask):
        function = function.task_function
    if name is None:
        if not hasattr(function, "__name__"):
            raise TypeError(f"{function!r} has no __name__: write @background(name=...)")
        name = f"{function.__module__}.{function.__name__}"
    try:
        read_text(255)(name)
    except (TypeError, ValueError) as error:
        raise type(error)(f"background(): name={name!r}: {error}") from None
    given = dict(options)
    below = changed(TaskOptions(), {"priority": given.pop("priority", None)}, name)  # the schedule's wins over it
    task = BackgroundTask(name, function, changed(below, given, name))
    if task.is_coroutine and task.options.atomic:
        raise TypeError(f"{name}: atomic=True: it is a coroutine function, and those cannot run in a transaction")
    if task.options.takes_context:
        _refuse_without_context(task)
    registry.register(task)
    return task


def _refuse_without_context(task: BackgroundTask[..., Any]) -> None:
    """Raise TypeError for a function that could not be given its context."""
    first = next(iter(signature(task.task_function).parameters), None)
    if first != "context":
        raise TypeError(f"{task.name}: takes_context=True: its first parameter must be called 'context', not {first!r}")


TaskProxy = BackgroundTask
"""The heritage's name of BackgroundTask."""

__all__ = ["CALL_NAMES", "BackgroundTask", "DBTaskRunner", "TaskProxy", "TaskSchedule", "background", "registry"]
