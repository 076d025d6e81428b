"""What a dead worker held, and what becomes of it: the table of SUPERVISION, row by row."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bgtasks.models import CompletedTask, Status, Task, TaskAttempt, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue.types import Claim, Death, Ending
from tests.contract.making import ago, claim, claim_one, completed, enqueued, holder, live, success

REASON = "killed by signal 9 (SIGKILL)"


def death(ending: Ending, *running: Claim, finished: tuple[Claim, ...] = ()) -> Death:
    return Death(
        worker=holder().name,
        ending=ending,
        reason=REASON,
        running=tuple((one.task_id, one.token) for one in running),
        finished=tuple((one.task_id, one.token, 0.1) for one in finished),
    )


def test_finished_tasks_are_settled_the_running_one_judged_the_rest_given_back() -> None:
    for number in range(4):
        enqueued(str(number), repeat=3600)
    held = claim(4)
    released = claims.release(death(Ending.CRASHED, held[1], finished=(held[0],)))
    assert released.finished == [held[0].task_id]
    assert released.retried == [held[1].task_id]
    assert released.given_back == [held[2].task_id, held[3].task_id]
    assert completed(held[0].task_id).status == Status.SUCCESSFUL
    assert Task.objects.filter(task_name="0", status=Status.SCHEDULED).count() == 1
    assert [live(one.task_id).attempts for one in held[1:]] == [1, 0, 0]
    assert not Task.objects.filter(status=Status.RUNNING).exists()


def test_a_first_crash_is_ready_at_once_and_later_ones_wait() -> None:
    task = enqueued()
    running = claim_one()
    claims.release(death(Ending.CRASHED, running))
    row = live(task.id)
    assert (row.status, row.attempts, row.crashes, row.last_error) == (Status.READY, 1, 1, REASON)
    running = claim_one()
    before = claims.database_now()
    claims.release(death(Ending.CRASHED, running))
    row = live(task.id)
    assert (row.status, row.attempts, row.crashes) == (Status.SCHEDULED, 2, 2)
    assert timedelta(seconds=20) < row.run_at - before < timedelta(seconds=60)


def test_a_third_crash_is_poison_whatever_attempts_are_left() -> None:
    task = enqueued(max_attempts=25)
    for _ in range(3):
        Task.objects.update(run_at=ago(1), status=Status.READY)
        released = claims.release(death(Ending.CRASHED, claim_one()))
    assert released.failed == [task.id]
    over = completed(task.id)
    assert (over.status, over.crashes, over.attempts) == (Status.FAILED, 3, 3)
    assert over.last_error.startswith("poison: ")
    assert REASON in over.last_error
    assert TaskAttempt.objects.filter(task_id=task.id, crashed=True).count() == 3


@pytest.mark.parametrize(
    ("ending", "status", "attempts", "crashes"),
    [
        (Ending.CRASHED, Status.READY, 1, 1),
        (Ending.LIMIT, Status.SCHEDULED, 1, 1),
        (Ending.OPERATOR, Status.SCHEDULED, 1, 0),
        (Ending.STOPPED, Status.READY, 0, 0),
    ],
)
def test_each_ending_charges_what_it_should(ending: Ending, status: Status, attempts: int, crashes: int) -> None:
    task = enqueued()
    claims.release(death(ending, claim_one()))
    row = live(task.id)
    assert (row.status, row.attempts, row.crashes, row.claim) == (status, attempts, crashes, None)
    assert TaskAttempt.objects.count() == attempts


@pytest.mark.parametrize("ending", [Ending.CRASHED, Ending.LIMIT, Ending.OPERATOR])
def test_a_task_out_of_attempts_fails_with_the_reason(ending: Ending) -> None:
    task = enqueued(max_attempts=1, repeat=60)
    released = claims.release(death(ending, claim_one()))
    assert released.failed == [task.id]
    over = completed(task.id)
    assert (over.status, over.last_error, over.attempts) == (Status.FAILED, REASON, 1)
    assert over.crashes == (0 if ending is Ending.OPERATOR else 1)
    assert Task.objects.count() == 1


def test_a_cancelled_task_is_in_the_history_as_such() -> None:
    task = enqueued(repeat=60)
    running = claim_one()
    claims.cancel(task.id)
    released = claims.release(death(Ending.CANCELLED, running))
    assert released.cancelled == [task.id]
    assert (completed(task.id).status, completed(task.id).attempts) == (Status.CANCELLED, 1)
    assert not Task.objects.exists()
    attempt = TaskAttempt.objects.get()
    assert (attempt.exception, attempt.crashed) == ("bgtasks.exceptions.TaskCancelled", False)
    assert not attempt.announced


def test_a_crash_of_a_task_that_was_to_be_cancelled_cancels_it() -> None:
    task = enqueued()
    running = claim_one()
    claims.cancel(task.id)
    released = claims.release(death(Ending.CRASHED, running))
    assert released.cancelled == [task.id]
    assert completed(task.id).status == Status.CANCELLED


def test_a_task_whose_lease_was_lost_is_left_to_its_new_holder() -> None:
    task = enqueued()
    lost = claim_one()
    claims.give_back([lost], worker=holder().name)
    new = claim_one(holder(2))
    released = claims.release(death(Ending.LEASE_LOST, lost))
    assert (released.retried, released.failed, released.given_back) == ([], [], [])
    assert (live(task.id).claim, live(task.id).attempts) == (new.token, 1)


def test_a_claim_without_a_record_of_it_is_given_back_uncharged() -> None:
    task = enqueued()
    claim_one()
    released = claims.release(death(Ending.CRASHED))
    assert released.given_back == [task.id]
    assert (live(task.id).status, live(task.id).attempts, live(task.id).crashes) == (Status.READY, 0, 0)


def test_a_release_done_twice_changes_nothing_more() -> None:
    for number in range(3):
        enqueued(str(number))
    held = claim(3)
    once = death(Ending.CRASHED, held[1], finished=(held[0],))
    claims.release(once)
    before = list(Task.objects.order_by("id").values()), list(CompletedTask.objects.values())
    again = claims.release(once)
    assert (again.finished, again.retried, again.failed, again.given_back) == ([], [], [], [])
    assert before == (list(Task.objects.order_by("id").values()), list(CompletedTask.objects.values()))


def test_a_release_never_touches_what_others_hold() -> None:
    enqueued("mine"), enqueued("theirs")
    mine, theirs = claim_one(), claim_one(holder(2))
    claims.release(death(Ending.CRASHED, mine))
    assert live(theirs.task_id).claim == theirs.token
    assert claims.turn([success(theirs)], 0, holder(2)).lost == []


def test_the_dead_workers_row_is_taken_away() -> None:
    for number in (1, 2):
        claims.register(WorkerProcess(name=holder(number).name, host="host", pid=number))
    claims.release(death(Ending.STOPPED))
    assert [one.name for one in WorkerProcess.objects.all()] == [holder(2).name]


def test_what_maintenance_recorded_waits_to_be_announced_by_a_worker() -> None:
    enqueued()
    claims.release(death(Ending.LIMIT, claim_one()))
    (attempt,) = claims.unannounced(10)
    assert (attempt.exception, attempt.error, attempt.crashed) == ("bgtasks.exceptions.TaskTimeout", REASON, True)
    assert attempt.worker == holder().name
    assert claims.announce([attempt.id]) == 1
    assert claims.unannounced(10) == []


# Reclaim: a death elsewhere


def now() -> float:
    """Return what a host reckons the database's clock to show."""
    return claims.database_now().timestamp()


def test_an_expired_lease_is_reclaimed_with_a_crash_charged() -> None:
    task = enqueued()
    lost = claim_one()
    assert claims.reclaim(now(), 10) == []
    Task.objects.update(locked_until=ago(1))
    (released,) = claims.reclaim(now(), 10)
    assert (released.worker, released.retried) == (holder().name, [task.id])
    row = live(task.id)
    assert (row.status, row.attempts, row.crashes) == (Status.READY, 1, 1)
    assert holder().name in row.last_error
    assert claims.turn([success(lost)], 0, holder()).lost
    assert claims.reclaim(now(), 10) == []


def test_f82_a_lease_that_is_over_only_because_the_clock_was_set_is_left_alone() -> None:
    enqueued()
    claim_one()
    Task.objects.update(locked_until=ago(1))
    assert claims.reclaim(now() - 5, 10) == []
    assert len(claims.reclaim(now(), 10)) == 1


def test_f84_a_worker_that_was_seen_since_keeps_a_row_whose_renewal_others_have_held_up() -> None:
    enqueued()
    claim_one()
    claims.register(WorkerProcess(name=holder().name, host="host", pid=1, boot_id="a", pid_namespace="n"))
    Task.objects.update(locked_until=ago(1))
    WorkerProcess.objects.update(last_seen_at=ago(20))
    assert claims.reclaim(now(), 10, silence=30) == []
    assert len(claims.reclaim(now(), 10, silence=10)) == 1


def test_own_living_workers_are_not_reclaimed_and_the_limit_holds() -> None:
    for number in range(4):
        enqueued(str(number))
    for number in range(1, 5):
        claim(1, holder(number))
    Task.objects.update(locked_until=ago(1))
    assert claims.reclaim(now(), 10, own=[holder(number).name for number in range(1, 5)]) == []
    assert [len(one.retried) for one in claims.reclaim(now(), 2, own=[holder(1).name])] == [1, 1]
    assert Task.objects.filter(status=Status.RUNNING).count() == 2


def test_of_several_tasks_that_a_silent_worker_held_none_fails_for_it_and_each_will_run_alone() -> None:
    tasks = [enqueued(str(number), max_attempts=1) for number in range(3)]
    claim(3)
    Task.objects.filter(id=tasks[0].id).update(locked_until=ago(1))
    (released,) = claims.reclaim(now(), 10)
    assert released.given_back == [tasks[0].id], "also if the lease of only one of them is over"
    Task.objects.filter(status=Status.RUNNING).update(locked_until=ago(1))
    (released,) = claims.reclaim(now(), 10)
    assert released.given_back == [tasks[1].id, tasks[2].id]
    assert {(row.status, row.attempts, row.crashes) for row in Task.objects.all()} == {(Status.READY, 0, 1)}


def test_an_expired_lease_that_nobody_took_is_still_a_valid_claim() -> None:
    enqueued()
    claimed = claim_one()
    Task.objects.update(locked_until=ago(3600))
    assert claims.turn([success(claimed)], 0, holder()).lost == []


def test_an_expired_lease_is_seen_on_the_databases_clock() -> None:
    enqueued()
    claim_one()
    assert not claims.has_expired()
    Task.objects.update(locked_until=ago(1))
    assert claims.has_expired()
