"""Running one claim: its function is found, its arguments decoded, and whatever it does becomes an outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django.conf import settings
from django.db import reset_queries, transaction

from bgtasks import conf, context, registry
from bgtasks.arguments import decode
from bgtasks.exceptions import BackgroundTaskError, TaskInterruption
from bgtasks.execution.body import call, is_interrupted, refuse_unrun
from bgtasks.execution.connections import close_connections
from bgtasks.execution.coroutines import run_coroutine
from bgtasks.execution.outcomes import error_text, interruption_behind, outcome_of
from bgtasks.queue.types import Claim, Outcome, Result
from bgtasks.tasks import BackgroundTask

logger = logging.getLogger("bgtasks.execution")


def execute(
    claim: Claim,
    sequence: int = 0,
    *,
    is_leaving: Callable[[], bool] = context.never,
    tell: Callable[[Claim, str], object] = context.nobody,
) -> Outcome:
    """Run one claimed task and say how it ended. Whatever the task does, this never raises.

    `is_leaving` says whether whoever runs it has been told to leave: the task may ask. `tell` is told of its progress.
    """
    started_at = time.monotonic()
    here = context.TaskContext(claim, lambda: is_leaving() or is_interrupted(sequence), tell)
    token = context.enter(here)
    try:
        outcome = _run(claim, sequence, started_at)
    except BaseException as error:  # noqa: BLE001 - a signal handler that the task left behind may raise here
        outcome = failed(error, claim, time.monotonic() - started_at)
    finally:
        context.leave(token)
    return outcome if here.told is None else replace(outcome, progress=here.told)


def _run(claim: Claim, sequence: int, started_at: float) -> Outcome:
    if settings.DEBUG:  # else Django keeps no log of queries, and the look at every connection costs 3 µs
        reset_queries()
    try:
        task = registry.known(claim)
        if task is None:
            raise BackgroundTaskError(f"no task is registered under the name {claim.task_name!r} in this process")
        if task.atomic:
            return _run_atomically(claim, task, sequence, started_at)
        return _call(claim, task, sequence, started_at)
    except BaseException as error:  # noqa: BLE001 - SystemExit and the like are failures of the task
        if isinstance(interruption_behind(error), TaskInterruption):
            close_connections()  # the interrupt may have cut one in the middle of an answer
        return failed(error, claim, time.monotonic() - started_at)


def _call(claim: Claim, task: BackgroundTask[..., Any], sequence: int, started_at: float) -> Outcome:
    args, kwargs = decode(claim.task_params)
    function = task.function_for(claim)
    value = call(sequence, partial(run_coroutine, function) if task.is_coroutine else function, args, kwargs)
    return _succeeded(claim, task, value, time.monotonic() - started_at)


def _succeeded(claim: Claim, task: BackgroundTask[..., Any], value: Any, duration: float) -> Outcome:
    if value is not None:
        refuse_unrun(value, task.task_function)
    kept = task.kept_form(value) if task.keeps_result else None
    return Outcome(claim, Result.SUCCESSFUL, duration, value=value, kept=kept)


def prepared(claim: Claim) -> tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]:
    """Return the coroutine function of a claim and its arguments. Raises what the decoding raises."""
    args, kwargs = decode(claim.task_params)
    return registry.known(claim).function_for(claim), args, kwargs


def concluded(claim: Claim, value: Any, error: BaseException | None, duration: float, told: str | None) -> Outcome:
    """Say how a coroutine ended that has run beside others, and told `told` last; this never raises."""
    try:
        if error is None:
            return replace(_succeeded(claim, registry.known(claim), value, duration), progress=told)
    except BaseException as refused:  # noqa: BLE001 - its value cannot be kept
        error = refused
    return replace(failed(error, claim, duration), progress=told)


def _run_atomically(claim: Claim, task: BackgroundTask[..., Any], sequence: int, started_at: float) -> Outcome:
    """Run the function and write its success in one transaction: both happen, once, or neither."""
    from bgtasks.queue import claims  # imports models

    committed: list[bool] = []
    outcome = None
    try:
        with claims.atomic():
            transaction.on_commit(lambda: committed.append(True), using=claims.alias())
            outcome = _call(claim, task, sequence, started_at)
            if (told := context.current_context().told) is not None:
                outcome = replace(outcome, progress=told)
            settled = claims.settle([outcome])
            if settled.lost:
                # Rolled back, the row may be ours again: an ordinary failure is written if so, and is void otherwise.
                raise BackgroundTaskError(
                    "the task was taken over or deleted while it ran; its effects are rolled back"
                )
    except BaseException:
        if outcome is None or not committed:
            raise
        # Written is written: what failed is something that the task had asked for on commit.
        logger.exception("task=%s name=%s an on_commit function failed", claim.task_id, claim.task_name)
    return replace(outcome, result=Result.SETTLED, repetition=settled.repeated.get(claim.task_id))


def failed(error: BaseException, claim: Claim, duration: float) -> Outcome:
    """Decide what a failure means; read settings and decorator as they are now."""
    try:
        task = registry.known(claim)
        backoff = task.backoff if task is not None and task.backoff is not None else conf.current().backoff
        return outcome_of(
            error,
            claim,
            duration=duration,
            max_attempts=max_attempts(claim),
            backoff=backoff,
            task=lambda text: task_of(claim, text),
        )
    except BaseException as second:  # noqa: BLE001 - settings that became wrong must not lose the outcome
        logger.error("task=%s the settings in force cannot be read: %s", claim.task_id, error_text(second))
        return outcome_of(error, claim, duration=duration)


def max_attempts(claim: Claim) -> int:
    """Return how many attempts a task has: its row's, its decorator's, else the setting in force now."""
    task = registry.known(claim)
    for own in (claim.max_attempts, task.options.max_attempts if task else None):
        if own is not None:
            return max(1, own)
    return max(1, conf.current().max_attempts)


def settles_each(claim: Claim) -> bool:
    """Say whether a task's outcome is to be written before the next task starts."""
    task = registry.known(claim)
    return task is not None and task.settle == "each"


def run_time_limit(claim: Claim, otherwise: float | None) -> float | None:
    """Return how long a task may run in seconds: its row's limit, its decorator's, else this one; None: for ever."""
    task = registry.known(claim)
    for limit in (claim.max_run_time, task.options.max_run_time if task else None, otherwise):
        if limit is not None:
            return float(limit) or None
    return None


def task_of(claim: Claim, error: str | None = None) -> Any:
    """Return the Task as it was claimed, this attempt counted; with `error` recorded, if there is one."""
    from bgtasks.models import Task  # models exist only once the app registry is ready

    names = {field.attname for field in Task._meta.concrete_fields} - {"claim_order"}
    values = {name: value for name, value in claim.row.items() if name in names}
    return Task(**values) if error is None else Task(**{**values, "last_error": error})
