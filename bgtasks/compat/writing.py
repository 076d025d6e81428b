"""The writing methods that `Task` had in django-background-tasks, attached to our `Task` where the alias is installed.

They let a program be a worker of its own: `lock`, run, `create_completed_task` or `reschedule`. Each goes through the
queue: what a registered worker holds is left alone, and no write undoes another's.
"""

from __future__ import annotations

import traceback as tracebacks
from dataclasses import replace
from types import TracebackType
from typing import Any

from django.utils import timezone

from bgtasks import conf
from bgtasks.compat import in_process
from bgtasks.exceptions import ClaimLost
from bgtasks.execution import failed
from bgtasks.models import CompletedTask, Task, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue.repeating import next_slot
from bgtasks.queue.types import Claim, Outcome, Result

_save = Task.save


def attach() -> None:
    """Give `Task` the methods back."""
    for method in (lock, increment_attempts, reschedule, create_completed_task, create_repetition, save):
        setattr(Task, method.__name__, method)


def lock(self: Task, locked_by: str) -> Task | None:
    """Claim a waiting task under this name; return it as it is then, or None if somebody else has it."""
    age = conf.current().max_run_time
    claim = claims.take(self.pk, in_process.holder(locked_by), is_counted=False, abandoned_for=age)
    return None if claim is None else Task.objects.using(claims.alias()).get(pk=self.pk)


def increment_attempts(self: Task) -> None:
    """Count one attempt."""
    claims.count_attempt(self.pk)
    self.refresh_from_db(fields=["attempts"])


def reschedule(self: Task, type: type[BaseException], err: BaseException, traceback: TracebackType | None) -> None:  # noqa: A002, the old names
    """Record a failure: another attempt later, or the history if none is left."""
    self.last_error = "".join(tracebacks.format_exception(type, err, traceback))
    increment_attempts(self)
    claim = _claim_of(self)
    _settle(self, replace(failed(err, claim, 0.0), error_text=self.last_error))


def create_completed_task(self: Task) -> CompletedTask:
    """Move the task to the history, failed if `failed_at` is set, and return it there; a repetition follows as well."""
    result = Result.FAILED if self.failed_at else Result.SUCCESSFUL
    _settle(self, Outcome(_claim_of(self), result, 0.0, error_text=self.last_error))
    return CompletedTask.objects.using(claims.alias()).get(pk=self.pk)


def create_repetition(self: Task) -> Task | None:
    """Return the task's repetition, which its completion has made; of a task that is not over, make it."""
    if not self.is_repeating_task():
        return None
    if "_repetition" in self.__dict__:
        made: Task | None = Task.objects.using(claims.alias()).filter(pk=self.__dict__["_repetition"]).first()
        return made
    run_at = next_slot(self.due_at or self.run_at, self.repeat, timezone.now())
    if self.repeat_until and run_at > self.repeat_until:
        return None
    args, kwargs = self.params()
    again = Task.objects.new_task(
        self.task_name, args, kwargs, run_at, self.priority, self.queue, self.verbose_name, self.creator,
        self.repeat, self.repeat_until,
    )  # fmt: skip
    claims.enqueue(again)
    return again


def save(self: Task, *args: Any, **kwargs: Any) -> None:
    """Write what `Task.save` writes, and `locked_at` of a task that no registered worker holds."""
    is_new, stored = self._state.adding, self.__dict__.get("_stored", {}).get("locked_at")
    _save(self, *args, **kwargs)
    if is_new or self.locked_at in (None, stored):
        return
    if not WorkerProcess.objects.using(self._state.db).filter(name=self.locked_by).exists():
        claims.date(self.pk, self.claim, self.locked_at)


def _claim_of(task: Task) -> Claim:
    """Return the claim in force of a task that is held here, or claim it. Raises ClaimLost if neither can be."""
    here = in_process.holder(task.locked_by)
    claim = claims.held(task.pk) or claims.take(task.pk, here, is_counted=False)
    if claim is None or WorkerProcess.objects.using(claims.alias()).filter(name=claim.locked_by).exists():
        raise ClaimLost(f"task {task.pk} is over, or a worker runs it")
    return claim


def _settle(task: Task, outcome: Outcome) -> None:
    """Write an outcome, and let the instance show what is stored then."""
    settled = in_process.settle(outcome, in_process.holder(outcome.claim.locked_by))
    task.__dict__["_repetition"] = settled.repetition
    if outcome.result is Result.RETRY:
        task.refresh_from_db()
