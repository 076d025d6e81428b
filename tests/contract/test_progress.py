"""Progress in the rows: written for whoever holds the claim, kept with an ending, gone with another attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection

from bgtasks import Progress
from bgtasks.models import Task
from bgtasks.queue import claims
from bgtasks.queue.types import Claim, Death, Ending, Outcome, Result
from tests.contract.making import claim, claim_one, completed, enqueued, failure, holder, live, other, settle, success

HALF, DONE = '{"done": 1, "total": 2, "message": "ä"}', '{"done": 2, "total": 2, "message": ""}'


def told(claimed: Claim, text: str = HALF) -> Claim:
    """Write the progress of a claimed task."""
    assert claims.note_progress({(claimed.task_id, claimed.token): text}) == {claimed.task_id}
    return claimed


def at_the_end(outcome: Outcome) -> Outcome:
    return replace(outcome, progress=DONE)


def test_it_is_written_for_all_that_hold_their_claims_and_read_by_id() -> None:
    for number in range(3):
        enqueued(str(number))
    one, two, three = claim(3)
    claims.note_progress(
        {(one.task_id, one.token): HALF, (two.task_id, two.token + 1): HALF, (10**9, 5): HALF}  # lost, and deleted
    )
    assert claims.progress_of(one.task_id, "0") == Progress(1, 2, "ä")
    assert claims.progress_of(two.task_id, "1") is None
    assert live(three.task_id).progress is None


def test_a_task_that_is_unknown_or_another_ones_has_none_to_tell() -> None:
    task = enqueued("tests.one")
    with pytest.raises(LookupError, match=rf"task {task.id} is a tests.one, not a tests.two"):
        claims.progress_of(task.id, "tests.two")
    with pytest.raises(LookupError, match=r"task 4711 is unknown here, or pruned"):
        claims.progress_of(4711, "tests.one")


@pytest.mark.parametrize("result", [Result.SUCCESSFUL, Result.FAILED, Result.CANCELLED])
@pytest.mark.parametrize("ends_with", [HALF, DONE])
def test_what_is_over_keeps_what_it_told_last(result: Result, ends_with: str) -> None:
    task = enqueued()
    claimed = told(claim_one())
    outcome = failure(claimed, result) if result is Result.FAILED else other(claimed, result)
    settle(outcome if ends_with == HALF else at_the_end(outcome))
    assert completed(task.id).progress == ends_with
    assert claims.progress_of(task.id, "tests.one") == Progress(*((1, 2, "ä") if ends_with == HALF else (2, 2, "")))


def test_it_is_written_with_a_task_of_its_own_transaction() -> None:
    task = enqueued()
    outcome = at_the_end(success(claim_one()))
    with claims.atomic():
        claims.settle([outcome])
    assert completed(task.id).progress == DONE


def test_who_lost_the_claim_writes_none_with_its_end() -> None:
    task = enqueued()
    claimed = claim_one()
    outcome = at_the_end(success(replace(claimed, token=claimed.token + 1)))
    assert settle(outcome) == [outcome]
    assert live(task.id).progress is None


@pytest.mark.parametrize("result", [Result.RETRY, Result.RELEASED])
def test_another_attempt_begins_with_none(result: Result) -> None:
    task = enqueued()
    settle(at_the_end(replace(failure(told(claim_one())), result=result)))
    assert live(task.id).progress is None


@pytest.mark.parametrize("ending", [Ending.CRASHED, Ending.STOPPED])
def test_nor_does_what_a_dead_worker_held_keep_it(ending: Ending) -> None:
    task = enqueued()
    claimed = told(claim_one())
    claims.release(Death(holder().name, ending, "gone", running=(claimed.task_id, claimed.token)))
    assert live(task.id).progress is None


def test_run_again_from_the_history_it_has_none_and_a_repetition_neither() -> None:
    once, often = enqueued("once"), enqueued("often", repeat=60)
    for claimed in claim(2):
        settle(at_the_end(success(claimed)))
    claims.retry([once.id])
    assert live(once.id).progress is None
    assert Task.objects.get(task_name="often").progress is None
    assert completed(often.id).progress == DONE


def test_a_row_that_the_task_itself_has_locked_is_left_for_the_next_time() -> None:
    if not connection.features.has_select_for_update_skip_locked:
        return
    enqueued()
    claimed = claim_one()
    news = {(claimed.task_id, claimed.token): HALF}
    session = connection.copy()
    try:
        session.set_autocommit(False)
        with session.cursor() as cursor:
            cursor.execute("SELECT id FROM bgtasks_task WHERE id = %s FOR UPDATE", [claimed.task_id])
            assert claims.note_progress(news) == set()
            session.rollback()
    finally:
        session.close()
    assert claims.note_progress(news) == {claimed.task_id}
