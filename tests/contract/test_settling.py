"""Endings: written once, by the holder of the claim alone, with their repetition, in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from bgtasks.models import CompletedTask, Status, Task, TaskAttempt
from bgtasks.queue import claims
from bgtasks.queue.repeating import next_slot
from bgtasks.queue.types import Claim, Ending, Outcome, Result
from tests.contract.making import (
    ago,
    ahead,
    claim,
    claim_one,
    completed,
    enqueued,
    failure,
    holder,
    live,
    other,
    settle,
    success,
)

ENDINGS: dict[str, Callable[[Claim], Outcome]] = {
    "success": success,
    "retry": failure,
    "retry at once": lambda held: failure(held, retry_in=0.0),
    "final failure": lambda held: failure(held, Result.FAILED),
    "cancellation": lambda held: other(held, Result.CANCELLED),
    "release": lambda held: other(held, Result.RELEASED),
}


def test_a_success_moves_the_task_to_the_history_under_its_id() -> None:
    task = enqueued("tests.one", 1, verbose_name="x", queue="mail", priority=3, run_at=ago(60), headers="{}")
    claimed = claim_one()
    assert settle(success(claimed)) == []
    assert not Task.objects.exists()
    over = completed(task.id)
    assert (over.status, over.failed_at, over.attempts) == (Status.SUCCESSFUL, None, 1)
    assert (over.locked_by, over.locked_at) == (claimed.locked_by, claimed.locked_at)
    assert (over.due_at, over.created_at) == (task.run_at, task.created_at)
    assert over.run_at >= over.locked_at
    for name in ("task_name", "task_params", "task_hash", "verbose_name", "queue", "priority", "headers"):
        assert getattr(over, name) == getattr(task, name), name


def test_a_failure_is_tried_again_after_its_delay_and_keeps_its_error() -> None:
    task = enqueued(run_at=ago(60))
    claimed = claim_one()
    before = claims.database_now()
    assert settle(failure(claimed, retry_in=21.5)) == []
    row = live(task.id)
    assert (row.status, row.attempts, row.claim, row.locked_by) == (Status.SCHEDULED, 1, None, None)
    assert (row.locked_at, row.locked_until, row.failed_at) == (None, None, None)
    assert timedelta(seconds=21.4) < row.run_at - before < timedelta(seconds=40)
    assert (row.due_at, row.last_error) == (task.run_at, "Traceback: no")
    attempt = TaskAttempt.objects.get()
    assert (attempt.task_id, attempt.attempt, attempt.worker) == (task.id, 1, claimed.locked_by)
    assert (attempt.exception, attempt.error) == ("builtins.ValueError", "Traceback: no")
    assert (attempt.started_at, attempt.crashed, attempt.announced) == (claimed.locked_at, False, True)


def test_the_first_due_time_survives_every_retry() -> None:
    task = enqueued(run_at=ago(60))
    for attempt in (1, 2, 3):
        settle(failure(claim_one(), retry_in=0.0))
        assert (live(task.id).attempts, live(task.id).due_at) == (attempt, task.run_at)
    settle(success(claim_one()))
    assert completed(task.id).due_at == task.run_at
    assert completed(task.id).last_error == "Traceback: no"
    assert [one.attempt for one in TaskAttempt.objects.order_by("id")] == [1, 2, 3]


def test_a_final_failure_is_in_the_history_with_its_time_and_error() -> None:
    task = enqueued()
    settle(failure(claim_one(), Result.FAILED))
    over = completed(task.id)
    assert (over.status, over.last_error, over.failed_at) == (Status.FAILED, "Traceback: no", over.run_at)
    assert TaskAttempt.objects.filter(task_id=task.id).count() == 1


def test_a_cancellation_is_in_the_history_and_counts_as_failed() -> None:
    task = enqueued(repeat=60)
    settle(other(claim_one(), Result.CANCELLED))
    assert (completed(task.id).status, completed(task.id).failed_at is None) == (Status.CANCELLED, False)
    assert not Task.objects.exists()


def test_what_was_given_back_is_ready_and_not_charged() -> None:
    tasks = [enqueued(str(number)) for number in range(3)]
    claimed = claim(3)
    settle(other(claimed[0], Result.RELEASED))
    assert claims.give_back(claimed[1:], worker=holder().name) == [tasks[1].id, tasks[2].id]
    for task in tasks:
        row = live(task.id)
        assert (row.status, row.attempts, row.claim, row.run_at) == (Status.READY, 0, None, task.run_at)
    assert claims.give_back(claimed, worker=holder().name) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_holder_that_lost_its_claim_writes_nothing(ending: str) -> None:
    task = enqueued(repeat=60)
    first = claim_one(holder(1))
    claims.give_back([first], worker=holder(1).name)
    second = claim_one(holder(2))
    before = Task.objects.values().get()
    late = ENDINGS[ending](first)
    turn = claims.turn([late], 0, holder(1))
    assert turn.lost == [late]
    assert turn.repeated == {}
    assert Task.objects.values().get() == before
    assert not CompletedTask.objects.exists()
    assert not TaskAttempt.objects.exists()
    assert settle(ENDINGS[ending](second)) == []
    assert task.id == second.task_id


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ending_settled_twice_is_written_once(ending: str) -> None:
    enqueued()
    outcome = ENDINGS[ending](claim_one())
    assert settle(outcome) == []
    # A success that stands in the history under this worker's name may be maintenance's doing: it is not lost.
    assert settle(outcome) == ([] if ending == "success" else [outcome])
    assert Task.objects.count() + CompletedTask.objects.count() == 1


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_task_deleted_while_it_ran_does_not_come_back(ending: str) -> None:
    enqueued(repeat=60)
    outcome = ENDINGS[ending](claim_one())
    Task.objects.all().delete()
    assert settle(outcome) == [outcome]
    assert not Task.objects.exists()
    assert not CompletedTask.objects.exists()


@pytest.mark.parametrize("ending", ["retry", "retry at once", "release"])
def test_what_would_run_again_ends_if_somebody_asked_to_cancel_it(ending: str) -> None:
    task = enqueued()
    outcome = ENDINGS[ending](claim_one())
    assert claims.cancel(task.id)
    turn = claims.turn([outcome], 0, holder())
    assert (turn.lost, turn.cancelled) == ([], {task.id})
    assert completed(task.id).status == Status.CANCELLED


def test_one_turn_settles_all_kinds_and_claims_the_next() -> None:
    for number in range(6):
        enqueued(str(number))
    held = claim(5)
    outcomes = [
        success(held[0]),
        failure(held[1], retry_in=0.0),
        failure(held[2], Result.FAILED),
        other(held[3], Result.RELEASED),
        success(held[4]),
    ]
    turn = claims.turn(outcomes, 5, holder())
    assert turn.lost == []
    assert [one.task_name for one in turn.claims] == ["3", "5", "1"]
    assert dict(CompletedTask.objects.values_list("task_name", "outcome")) == {"0": 10, "2": 11, "4": 10}


def test_outcomes_that_need_no_write_are_neither_written_nor_lost() -> None:
    enqueued()
    claimed = claim_one()
    turn = claims.turn([other(claimed, Result.LOST), other(claimed, Result.SETTLED)], 0, holder())
    assert turn.lost == []
    assert live(claimed.task_id).claim == claimed.token


def test_settling_in_the_tasks_own_transaction_commits_with_it_or_not_at_all() -> None:
    task = enqueued()
    claimed = claim_one()
    with claims.atomic():
        assert claims.settle([success(claimed)]).lost == []
        transaction.set_rollback(True)
    assert live(task.id).claim == claimed.token
    with claims.atomic():
        assert claims.settle([success(claimed)]).lost == []
    assert completed(task.id).status == Status.SUCCESSFUL
    with pytest.raises(transaction.TransactionManagementError):
        claims.settle([success(claimed)])


def test_settling_in_the_tasks_own_transaction_tells_the_repetition() -> None:
    task = enqueued(repeat=60)
    claimed = claim_one()
    with claims.atomic():
        turn = claims.settle([success(claimed)])
    assert turn.claims == turn.lost == []
    assert turn.repeated == {task.id: Task.objects.get().id}


@pytest.mark.parametrize("text", ["nul \x00 byte", "surrogate \ud800", "𝄞 four bytes", "x" * 300_000])
def test_no_error_text_keeps_an_outcome_from_being_written(text: str) -> None:
    enqueued()
    claimed = claim_one()
    assert settle(Outcome(claimed, Result.RETRY, 0.1, ValueError(), text, 0.0)) == []
    assert 0 < len(live(claimed.task_id).last_error) < 70_000


# Repetition


def test_a_repetition_keeps_its_phase_and_skips_what_was_missed() -> None:
    task = enqueued(repeat=60, run_at=ago(150), priority=4, queue="mail", verbose_name="x", max_attempts=2)
    turn = claims.turn([success(claim_one())], 0, holder())
    following = Task.objects.get()
    assert turn.repeated == {task.id: following.id}
    assert following.run_at == task.run_at + timedelta(seconds=180)
    assert (following.status, following.attempts, following.due_at) == (Status.SCHEDULED, 0, None)
    for name in (
        "task_name",
        "task_params",
        "task_hash",
        "queue",
        "priority",
        "verbose_name",
        "repeat",
        "max_attempts",
    ):
        assert getattr(following, name) == getattr(task, name), name


def test_a_retry_does_not_shift_the_phase() -> None:
    task = enqueued(repeat=3600, run_at=ago(10))
    settle(failure(claim_one(), retry_in=0.0))
    settle(success(claim_one()))
    assert Task.objects.get().run_at == task.run_at + timedelta(hours=1)


def test_a_final_failure_does_not_end_the_chain_unless_the_setting_says_so(settings: object) -> None:
    enqueued(repeat=60)
    settle(failure(claim_one(), Result.FAILED))
    assert Task.objects.count() == 1
    Task.objects.update(run_at=ago(1), status=Status.READY)
    settings.BGTASKS = {"REPEAT_AFTER_FAILURE": False}  # type: ignore[attr-defined]
    settle(failure(claim_one(), Result.FAILED))
    assert not Task.objects.exists()


def test_no_repetition_is_made_after_repeat_until() -> None:
    enqueued(repeat=60, run_at=ago(10), repeat_until=ahead(40))
    settle(success(claim_one()))
    assert not Task.objects.exists()
    enqueued(repeat=60, run_at=ago(10), repeat_until=ahead(60))
    settle(success(claim_one()))
    assert Task.objects.count() == 1


def test_the_next_slot_is_the_first_that_is_not_in_the_past() -> None:
    slot = ago(0).replace(microsecond=1)
    for passed, expected in (
        (-5, 1),
        (0, 1),
        (59, 1),
        (60, 1),
        (61, 2),
        (600, 10),
        (3600 * 24 * 365 * 1000 // 60 * 60, None),
    ):
        following = next_slot(slot, 60, slot + timedelta(seconds=passed))
        assert following >= slot + timedelta(seconds=passed)
        assert (following - slot).total_seconds() % 60 == 0
        if expected:
            assert following == slot + timedelta(seconds=60 * expected)


# A COMMIT that was not confirmed


def test_after_a_commit_without_reply_nothing_is_lost_and_nothing_claimed_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(4):
        enqueued(str(number))
    held = claim(2)
    outcomes = [success(held[0]), failure(held[1])]
    with monkeypatch.context() as broken:
        broken.setattr(connection, "_commit", _commit_and_fail(connection._commit))
        with pytest.raises(DatabaseError):
            claims.turn(outcomes, 1, holder())
    assert Task.objects.filter(status=Status.RUNNING).count() == 1
    turn = claims.turn(outcomes, 1, holder())
    assert turn.lost == []
    assert [one.task_name for one in turn.claims] == ["2"]
    turn = claims.turn([success(turn.claims[0])], 1, holder())
    assert [one.task_name for one in turn.claims] == ["3"]


def _commit_and_fail(commit: Callable[[], None]) -> Callable[[], None]:
    def failing() -> None:
        commit()
        raise DatabaseError("server closed the connection unexpectedly")

    return failing


def test_endings_of_dead_workers_have_names_for_all() -> None:
    assert {ending.name for ending in Ending} == {"CRASHED", "LIMIT", "OPERATOR", "STOPPED", "CANCELLED", "LEASE_LOST"}
