"""Claims that were not started: kept under a fresh token, given back behind a slow task, marked after a death."""

from __future__ import annotations

from dataclasses import replace

from django.utils import timezone

from bgtasks.models import CompletedTask, Status, Task, TaskAttempt
from bgtasks.queue import claims
from bgtasks.queue.rows import new_token
from bgtasks.queue.types import Claim, Death, Ending, Result, Slow
from tests.contract.making import claim, claim_one, enqueued, holder, live, other, success


def batch(count: int) -> list[Claim]:
    """Enqueue and claim that many tasks in one turn."""
    for number in range(count):
        enqueued(f"tests.number{number}")
    claimed = claim(count)
    assert len({one.token for one in claimed}) == 1
    return claimed


def held(one: Claim) -> tuple[int, int]:
    return one.task_id, one.token


def finished(*over: Claim) -> tuple[tuple[int, int, float], ...]:
    return tuple((one.task_id, one.token, 0.1) for one in over)


def test_what_is_kept_has_a_fresh_token_and_a_whole_lease() -> None:
    claimed = batch(3)
    Task.objects.update(locked_until=timezone.now())
    fresh = new_token()
    kept = claims.keep(claimed, fresh, holder())
    assert kept == [replace(one, token=fresh) for one in claimed]
    assert {row.claim for row in Task.objects.all()} == {fresh}
    assert min(row.locked_until - claims.database_now() for row in Task.objects.all()).total_seconds() > 50


def test_what_was_taken_away_is_not_kept() -> None:
    claimed = batch(3)
    claims.give_back(claimed[1:2], worker=holder().name)
    assert [one.task_id for one in claims.keep(claimed, new_token(), holder())] == [
        claimed[0].task_id,
        claimed[2].task_id,
    ]
    assert live(claimed[1].task_id).status == Status.READY


def test_relief_settles_what_is_over_and_gives_back_what_waits_but_leaves_the_slow_task() -> None:
    over, slow, *waiting = batch(5)
    released = claims.relieve(Slow(holder().name, held(slow), finished(over)))
    assert (released.finished, released.given_back) == ([over.task_id], [one.task_id for one in waiting])
    assert CompletedTask.objects.get().status == Status.SUCCESSFUL
    assert (live(slow.task_id).status, live(slow.task_id).claim) == (Status.RUNNING, slow.token)
    for one in waiting:
        assert (live(one.task_id).status, live(one.task_id).attempts, live(one.task_id).crashes) == (1, 0, 0)


def test_what_somebody_wants_cancelled_is_kept_but_not_to_be_started() -> None:
    claimed = batch(2)
    claims.cancel(claimed[1].task_id)
    kept = claims.keep(claimed, new_token(), holder())
    assert [one.is_unwanted for one in kept] == [False, True]
    turn = claims.turn([other(kept[1], Result.RELEASED)], 0, holder())
    assert turn.cancelled == {claimed[1].task_id}
    assert CompletedTask.objects.get().status == Status.CANCELLED


def test_relief_that_comes_after_the_worker_renewed_its_batch_takes_nothing() -> None:
    slow, *waiting = batch(3)
    claims.keep(waiting, new_token(), holder())
    assert claims.relieve(Slow(holder().name, held(slow))).given_back == []
    assert Task.objects.filter(status=Status.RUNNING).count() == 3


def test_relief_ends_what_somebody_wants_cancelled() -> None:
    slow, waiting = batch(2)
    claims.cancel(waiting.task_id)
    released = claims.relieve(Slow(holder().name, held(slow)))
    assert (released.given_back, released.cancelled) == ([], [waiting.task_id])
    assert CompletedTask.objects.get().status == Status.CANCELLED


def test_a_worker_that_settles_what_relief_has_settled_before_it_has_lost_nothing() -> None:
    over, slow = batch(2)
    claims.relieve(Slow(holder().name, held(slow), finished(over)))
    turn = claims.turn([success(over), success(slow)], 1, holder())
    assert turn.lost == []
    assert CompletedTask.objects.count() == 2


def test_a_success_of_a_claim_that_others_completed_is_lost() -> None:
    claimed = claim_one_of_one()
    claims.give_back([claimed], worker=holder(1).name)
    claims.turn([success(claim_one(holder(2)))], 0, holder(2))
    late = success(claimed)
    assert claims.turn([late], 0, holder(1)).lost == [late]


def claim_one_of_one() -> Claim:
    enqueued()
    return claim_one(holder(1))


def test_a_whole_batch_goes_back_in_one_turn() -> None:
    claimed = batch(60)
    claims.cancel(claimed[7].task_id)
    outcomes = [other(one, Result.RELEASED) for one in claimed]
    turn = claims.turn(outcomes, 0, holder())
    assert (turn.lost, turn.cancelled) == ([], {claimed[7].task_id})
    assert Task.objects.filter(status=Status.READY, attempts=0, claim=None).count() == 59


def test_if_nobody_knows_what_a_dead_worker_ran_each_task_it_held_is_marked_once_and_none_is_charged() -> None:
    claimed = batch(3)
    Task.objects.filter(id=claimed[1].task_id).update(crashes=2)
    released = claims.release(Death(holder().name, Ending.CRASHED, "gone", are_suspects=True))
    assert released.given_back == [one.task_id for one in claimed]
    assert [(live(one.task_id).attempts, live(one.task_id).crashes) for one in claimed] == [(0, 1), (0, 2), (0, 1)]
    assert not TaskAttempt.objects.exists()
