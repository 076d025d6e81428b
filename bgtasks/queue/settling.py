"""How a claimed task that was run ends: in the history, or with another attempt. Guarded by id and token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.transaction import TransactionManagementError

from bgtasks import conf
from bgtasks.models import Status
from bgtasks.queue.attempts import record
from bgtasks.queue.engine import Ended, Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.giving_back import give_back_held
from bgtasks.queue.progressing import write_progress
from bgtasks.queue.repeating import repeat, wake_for
from bgtasks.queue.rows import storable
from bgtasks.queue.settled import FREE, Settled, cancel_instead, end
from bgtasks.queue.types import NOTHING_TO_WRITE, Outcome, Result, Turn

GUARD = "id = %(id)s AND claim = %(token)s AND status = 2"
# `due_at` comes first: MySQL evaluates SET from left to right.
RETRY = f"""
UPDATE bgtasks_task {{by_id}} SET due_at = COALESCE(due_at, run_at), run_at = {{run_at}}, status = %(status)s,
    last_error = %(error)s, crashes = crashes + %(crash)s, {FREE}
WHERE {GUARD} AND cancel_requested_at IS NULL
"""
ENDINGS = {
    Result.SUCCESSFUL: Status.SUCCESSFUL,
    Result.FAILED: Status.FAILED,
    Result.CANCELLED: Status.CANCELLED,
}


def settle(outcomes: Sequence[Outcome]) -> Turn:
    """Write outcomes in the transaction that is open, with a task's own effects; return a turn that claims nothing."""
    db = engine()
    if not db.connection.in_atomic_block:
        raise TransactionManagementError("settle() belongs in the task's transaction; use turn() outside of one")
    with db.connection.cursor() as cursor:
        settled = settle_all(db, cursor, outcomes)
    return Turn([], lost_of(outcomes, settled), settled.repeated, settled.cancelled)


def settle_all(db: Engine, cursor: Any, outcomes: Sequence[Outcome]) -> Settled:
    """Write each outcome whose claim still stands: the endings in one go, then what runs again."""
    settled = Settled()
    for one in outcomes:
        if one.progress is not None:
            write_progress(db, cursor, (one.claim.task_id, one.claim.token), one.progress)
    ended = [
        Ended(one.claim.task_id, one.claim.token, ENDINGS[one.result], _error(one), one.kept)
        for one in outcomes
        if one.result in ENDINGS
    ]
    finish(db, cursor, ended, settled)
    for one in sorted(outcomes, key=lambda one: one.claim.task_id):
        if one.result is Result.RETRY:
            _retry(db, cursor, one, settled)
    released = [(one.claim.task_id, one.claim.token) for one in outcomes if one.result is Result.RELEASED]
    give_back_held(db, cursor, released, settled)
    record(db, cursor, [one for one in outcomes if one.error is not None and _failed(one, settled)])
    return settled


def lost_of(outcomes: Sequence[Outcome], settled: Settled) -> list[Outcome]:
    """Return the outcomes for which nothing was written."""
    return [one for one in outcomes if one.result not in NOTHING_TO_WRITE and one.claim.task_id not in settled.ids]


def finish(db: Engine, cursor: Any, ended: Sequence[Ended], settled: Settled) -> None:
    """Move to the history what still has its claim, and insert the repetitions."""
    if not ended:
        return
    statuses = {one.task_id: one.status for one in ended}
    again = []
    for task_id, period in end(db, cursor, ended):
        settled.ids.add(task_id)
        if period > 0 and _repeats_after(statuses[task_id]):
            again.append(task_id)
    if again:
        settled.repeated.update(repeat(db, cursor, again))


def _repeats_after(status: int) -> bool:
    if status == Status.FAILED:
        return conf.current().repeat_after_failure
    return status == Status.SUCCESSFUL


def _retry(db: Engine, cursor: Any, one: Outcome, settled: Settled) -> None:
    claim = one.claim
    retry_one(db, cursor, (claim.task_id, claim.token), settled, delay=one.retry_in, error=one.error_text)


def retry_one(  # noqa: PLR0913, all of it is one statement's parameters
    db: Engine, cursor: Any, held: tuple[int, int], settled: Settled, *, delay: float, error: str, crash: int = 0
) -> None:
    """Let a claimed task run again after `delay` seconds; one that somebody wants cancelled ends instead."""
    parameters = {"id": held[0], "token": held[1], "error": storable(error), "crash": crash}
    if delay > 0:
        run_at, parameters = db.after("delay"), {**parameters, "status": 0, "delay": delay}
    else:
        run_at, parameters = db.now, {**parameters, "status": 1}
    sql = RETRY.format(by_id=db.by_id, run_at=run_at)
    if db.execute(cursor, sql, **parameters).rowcount:
        settled.ids.add(held[0])
        wake_for(db, delay)
    else:
        cancel_instead(db, cursor, held, settled, error)


def _error(one: Outcome) -> str | None:
    return storable(one.error_text) if one.error_text else None


def _failed(one: Outcome, settled: Settled) -> bool:
    return one.result in (Result.RETRY, Result.FAILED, Result.CANCELLED) and one.claim.task_id in settled.ids
