"""The signals of the heritage, sent after the commit and only where somebody listens: nothing is built otherwise."""

from __future__ import annotations

import logging
from typing import Any

from django.db import Error
from django.utils.module_loading import import_string

from bgtasks import registry, signals
from bgtasks.exceptions import WorkerDied
from bgtasks.execution import task_of
from bgtasks.models import CompletedTask, Status, Task, TaskAttempt
from bgtasks.queue import claims
from bgtasks.queue.types import Claim, Outcome, Result, Turn
from bgtasks.tasks import DBTaskRunner
from bgtasks.worker.reporting import result_in

logger = logging.getLogger("bgtasks.worker")

DEAD_AT_ONCE = 100
"""Attempts of dead workers that are announced in one go."""


def announce_start(claim: Claim) -> None:
    """Tell that a function is about to be called."""
    if signals.is_heard(signals.task_started, Task):
        signals.announce(signals.task_started, Task, task=task_of(claim))
    if (door := registry.door_of(claim)) is not None:
        try:
            door.started(claim)
        except Exception as error:  # noqa: BLE001 - a row that cannot be shown, or not now, is run all the same
            _say_unsent(claim.task_id, error)


def announce_outcome(outcome: Outcome, turn: Turn) -> bool:
    """Tell how a run ended, in the heritage's order, unless its claim was lost; say whether anybody was told."""
    door = registry.door_of(outcome.claim)
    if door is None and not _anybody_listens(outcome):
        return False
    result = result_in(turn, outcome)
    was_run = outcome.result is not Result.RELEASED or outcome.error is not None
    if result is Result.LOST or not (was_run or result is Result.CANCELLED):
        return False
    try:
        _announce(outcome, result)
        if was_run:
            signals.announce(signals.task_finished, Task, task_id=outcome.claim.task_id)
        if door is not None:
            door.ended(outcome, result)
        _announce_repetition(turn.repeated.get(outcome.claim.task_id, outcome.repetition))
    except Exception as error:  # noqa: BLE001 - the rows to be shown could not be read, or what stands in them not shown
        _say_unsent(outcome.claim.task_id, error)
    return True


def _say_unsent(task_id: int, error: Exception) -> None:
    """Log why nobody was told; with a traceback unless it is the database."""
    trace = None if isinstance(error, Error) else error
    reason = f"{type(error).__name__}: {error}"
    logger.warning("task=%s its signals were not sent: %s", task_id, reason, exc_info=trace)


def _anybody_listens(outcome: Outcome) -> bool:
    return (
        signals.is_heard(signals.task_finished, Task)
        or signals.is_heard(signals.task_successful, Task)
        or signals.is_heard(signals.task_created, DBTaskRunner)
        or (outcome.error is not None and _anybody_hears_failures(type(outcome.error)))
        or (not outcome.can_wait and signals.is_heard(signals.task_cancelled, Task))
    )


def _anybody_hears_failures(kind: type[BaseException]) -> bool:
    return (
        signals.is_heard(signals.task_error, kind)
        or signals.is_heard(signals.task_rescheduled, Task)
        or signals.is_heard(signals.task_failed, Task)
    )


def _announce(outcome: Outcome, result: Result) -> None:
    if result in (Result.SUCCESSFUL, Result.SETTLED):
        _announce_ending(signals.task_successful, outcome.claim.task_id)
    elif outcome.error is not None and result in (Result.RETRY, Result.FAILED):
        task = task_of(outcome.claim, outcome.error_text)
        _announce_failure(type(outcome.error), task, is_final=result is Result.FAILED)
    elif result is Result.CANCELLED:
        _announce_ending(signals.task_cancelled, outcome.claim.task_id)


def _announce_repetition(task_id: int | None) -> None:
    if task_id is not None and signals.is_heard(signals.task_created, DBTaskRunner):
        repetition = Task.objects.using(claims.alias()).filter(pk=task_id).first()
        if repetition is not None:
            signals.announce(signals.task_created, DBTaskRunner, task=repetition)


def _announce_failure(kind: type[BaseException], task: Any, *, is_final: bool) -> None:
    signals.announce(signals.task_error, kind, task=task)
    if is_final:
        _announce_ending(signals.task_failed, task.pk)
    elif signals.is_heard(signals.task_rescheduled, Task):
        row = Task.objects.using(claims.alias()).filter(pk=task.pk).first()
        signals.announce(signals.task_rescheduled, Task, task=row or task)


def _announce_ending(signal: Any, task_id: int) -> None:
    if signals.is_heard(signal, Task):
        completed_task = CompletedTask.objects.using(claims.alias()).filter(pk=task_id).first()
        if completed_task is not None:  # else somebody has put it back into its queue, or pruned it
            signals.announce(signal, Task, task_id=task_id, completed_task=completed_task)


def announce_the_dead() -> None:
    """Tell of the attempts that maintenance recorded for workers that died: it runs no receiver itself."""
    others = (signals.task_finished, signals.task_cancelled)
    is_heard = _anybody_hears_failures(WorkerDied) or any(signals.is_heard(one, Task) for one in others)
    if not is_heard and registry.other_door is None:
        return
    try:
        attempts = claims.unannounced(DEAD_AT_ONCE)
        for attempt in attempts:
            _try_to_announce(attempt)
        if attempts:
            claims.announce([attempt.pk for attempt in attempts])
    except Error as error:
        logger.warning("the attempts of dead workers were not announced: %s", error)


def _try_to_announce(attempt: TaskAttempt) -> None:
    """Announce one; what cannot be shown counts as announced, what could not be read is tried again."""
    try:
        _announce_attempt(attempt)
    except Error:
        raise
    except Exception as error:  # noqa: BLE001 - a result is shown with its function, whose module may raise anything
        _say_unsent(attempt.task_id, error)


def _announce_attempt(attempt: TaskAttempt) -> None:
    task = Task.objects.using(claims.alias()).filter(pk=attempt.task_id).first()
    completed = CompletedTask.objects.using(claims.alias()).filter(pk=attempt.task_id).first()
    shown = task or completed
    if task is None and completed is not None and completed.outcome == Status.CANCELLED:
        _announce_ending(signals.task_cancelled, attempt.task_id)
    elif shown is not None:
        _announce_failure(_class_of(attempt.exception), shown, is_final=task is None)
    signals.announce(signals.task_finished, Task, task_id=attempt.task_id)
    if task is None and completed is not None and completed.backend and registry.other_door is not None:
        registry.other_door.died(completed)


def _class_of(dotted: str) -> type[BaseException]:
    try:
        found = import_string(dotted)
    except ImportError:
        return WorkerDied
    return found if isinstance(found, type) and issubclass(found, BaseException) else WorkerDied
