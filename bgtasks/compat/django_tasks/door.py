"""What a worker does differently for rows of `django.tasks`: how it finds the function, calls it, and tells of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from bgtasks import signals
from bgtasks.arguments import encode_result
from bgtasks.compat.django_tasks import api, backend, results
from bgtasks.compat.django_tasks.task import DatabaseTaskContext, options_of
from bgtasks.execution import task_of
from bgtasks.models import Task
from bgtasks.queue.types import Claim, Outcome, Result
from bgtasks.task_options import TaskOptions, changed

logger = logging.getLogger("bgtasks.worker")
signals.NAMES |= {api.task_started: "django.tasks.task_started", api.task_finished: "django.tasks.task_finished"}


class StoredTask:
    """A `django.tasks` Task as the execution sees it: the counterpart of BackgroundTask."""

    keeps_result = True

    def __init__(self, task: Any, alias: str) -> None:
        self.task = task
        self.task_function = task.func
        self.is_coroutine = iscoroutinefunction(task.func)
        given = options_of(task)
        self._backoff = given.pop("backoff", api.task_backends[alias].given.get("BACKOFF"))
        self.options: TaskOptions = changed(TaskOptions(), given, task.module_path)
        self.atomic = bool(self.options.atomic) and not self.is_coroutine
        self.settle = self.options.settle or "batch"

    @property
    def backoff(self) -> Any:
        """How long to wait before the next attempt; a function is given the result, as Django's proposal has it."""
        return partial(self._ask, self._backoff) if callable(self._backoff) else self._backoff

    def _ask(self, backoff: Callable[[Any, Any], Any], error: BaseException, row: Task) -> Any:
        attempts = results.attempts_of(row.pk)
        result = results.result_of(row, attempts, self.task)
        result.errors.append(_error_of(error, row.last_error))
        return backoff(error, result)

    def function_for(self, claim: Claim) -> Callable[..., Any]:
        """Return what is called with the arguments: a task that wants its context gets it first."""
        if not self.task.takes_context:
            return self.task_function  # type: ignore[no-any-return]
        return partial(self.task_function, DatabaseTaskContext(task_result=running(claim, self.task)))

    def kept_form(self, value: Any) -> str:
        """Return a return value as it is stored. Raises TypeError for what JSON cannot hold."""
        return encode_result(self.task.module_path, api.normalize_json(value))


class DjangoTasks:
    """The door. `bgtasks.registry` asks it for rows that name a backend."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], StoredTask | None] = {}
        """By backend and name; None: importing it raised, and is not tried again."""

    def names(self) -> set[str]:
        """Return the paths of the tasks that were made here."""
        return set(backend.made)

    def find(self, claim: Claim) -> StoredTask | None:
        """Return what to run for a row; None if this process does not know it: then another one may."""
        key = claim.row["backend"], claim.task_name
        if key not in self._found:
            try:
                self._found[key] = StoredTask(results.task_named(claim.task_name), key[0])
            except (ImportError, ImproperlyConfigured) as error:
                logger.debug("task=%s name=%s is not known here: %s", claim.task_id, claim.task_name, error)
                return None
            except (Exception, SystemExit):  # a module of the application, imported only now, may raise anything
                logger.exception("task=%s name=%s cannot be imported here", claim.task_id, claim.task_name)
                self._found[key] = None
        return self._found[key]

    def started(self, claim: Claim) -> None:
        """Tell that the function is about to be called."""
        known = self.find(claim)
        if known is not None:
            _send(api.task_started, running(claim, known.task))

    def ended(self, outcome: Outcome, result: Result) -> None:
        """Tell that a task is over, after the commit; a retry is not the end."""
        known = self.find(outcome.claim)
        if known is None or result not in (Result.SUCCESSFUL, Result.SETTLED, Result.FAILED, Result.CANCELLED):
            return
        if outcome.error is None and result is not Result.CANCELLED:
            _send(api.task_finished, _succeeded(outcome, known.task))
            return
        row = results.find_row(outcome.claim.task_id, outcome.claim.row["backend"])
        if row is None:  # pruned already
            return
        told = results.result_of(row, results.attempts_of(row.pk), known.task)
        if outcome.error is None:
            _send(api.task_finished, told)
            return
        try:  # receivers find the task's error being handled, as they do in Django: its log record has the traceback
            raise outcome.error
        except BaseException:  # noqa: BLE001 - whatever the task raised
            _send(api.task_finished, told)

    def died(self, row: Any) -> None:
        """Tell of a task whose last attempt ended with its worker."""
        try:
            told = results.result_of(row, results.attempts_of(row.pk))
        except ImportError:
            return
        _send(api.task_finished, told)


def running(claim: Claim, task: Any) -> Any:
    """Return the result of a task that is about to run, without asking the database at a first attempt."""
    attempts = results.attempts_of(claim.task_id) if claim.attempts > 1 else []
    return results.result_of(task_of(claim), attempts, task)


def _succeeded(outcome: Outcome, task: Any) -> Any:
    """Return the result of a task that has just succeeded: as it ran, with its end, and without asking the database."""
    result = running(outcome.claim, task)
    object.__setattr__(result, "status", results.SUCCESSFUL)
    object.__setattr__(result, "finished_at", max(timezone.now(), result.last_attempted_at))
    results.keep_value(result, outcome.kept)
    return result


def _error_of(error: BaseException, text: str) -> Any:
    kind = type(error)
    return api.TaskError(exception_class_path=f"{kind.__module__}.{kind.__qualname__}", traceback=text)


def _send(signal: Any, result: Any) -> None:
    try:
        sender = type(api.task_backends[result.backend])
    except ImproperlyConfigured:
        return  # the alias was removed from the settings while tasks waited
    signals.announce(signal, sender, task_result=result)
