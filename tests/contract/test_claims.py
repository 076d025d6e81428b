"""Claiming: what, in which order, for whom, and by nobody twice."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from bgtasks.models import Queue, Status, Task
from bgtasks.queue import claims
from tests.contract.making import LEASE, ago, ahead, claim, claim_one, enqueued, holder, live, names, unsaved


def test_a_claim_counts_the_attempt_and_names_its_holder() -> None:
    task = enqueued()
    claimed = claim_one(holder(7))
    row = live(task.id)
    assert (row.status, row.attempts, row.claim) == (Status.RUNNING, 1, claimed.token)
    assert row.locked_by == claimed.locked_by == holder(7).name
    assert row.locked_at == claimed.locked_at
    assert row.locked_until - row.locked_at == timedelta(seconds=LEASE)
    assert abs(row.locked_at - timezone.now()) < timedelta(seconds=30)
    assert (claimed.task_id, claimed.attempts, claimed.run_at) == (task.id, 1, task.run_at)
    assert Task(**{name: value for name, value in claimed.row.items() if name != "claim_order"}).params() == ([], {})


def test_the_claims_row_is_the_row_as_the_orm_reads_it() -> None:
    enqueued(repeat_until=ahead(99), verbose_name="x")
    claimed = claim_one()
    row = live(claimed.task_id)
    assert claimed.row == {field.attname: getattr(row, field.attname) for field in Task._meta.concrete_fields}


def test_a_token_is_random_and_positive() -> None:
    for _ in range(3):
        enqueued()
    tokens = {claim_one(holder(number)).token for number in range(3)}
    assert len(tokens) == 3
    assert all(0 < token < 2**63 for token in tokens)


def test_order_is_priority_then_time_then_id_across_queues() -> None:
    enqueued("d", priority=0, queue="a")
    enqueued("b", priority=5, queue="b", run_at=ago(10))
    enqueued("a", priority=5, queue="a", run_at=ago(20))
    enqueued("c", priority=5, queue="a", run_at=ago(5))
    same = ago(3)
    enqueued("e", priority=-1, queue="c", run_at=same)
    enqueued("f", priority=-1, queue="a", run_at=same)
    enqueued("z", priority=-(2**31), queue="b")
    assert names(claim(2)) == ["a", "b"]
    assert names(claim(1)) == ["c"]
    assert names(claim(9)) == ["d", "e", "f", "z"]


def test_order_under_asc_is_lower_number_first(settings: object) -> None:
    settings.BACKGROUND_TASK_PRIORITY_ORDERING = "ASC"  # type: ignore[attr-defined]
    for priority in (3, -2, 0):
        enqueued(str(priority), priority=priority)
    assert names(claim(3)) == ["-2", "0", "3"]


def test_a_changed_priority_changes_the_order_however_it_was_written() -> None:
    first, second = enqueued("first"), enqueued("second")
    Task.objects.filter(id=second.id).update(priority=3)
    assert names(claim(1)) == ["second"]
    assert names(claim(1)) == ["first"]
    assert first.id < second.id


def test_a_filter_serves_its_queues_alone() -> None:
    for queue in ("mail", "default", "reports"):
        enqueued(queue, queue=queue)
    assert names(claim(5, holder(queues=("mail",)))) == ["mail"]
    assert names(claim(5, holder(queues=("reports", "mail", "nothing")))) == ["reports"]
    assert names(claim(5)) == ["default"]


def test_a_filter_finds_tasks_of_a_queue_without_a_row() -> None:
    enqueued(queue="mail")
    Queue.objects.all().delete()
    assert claim(1, holder(queues=("other",))) == []
    assert len(claim(1, holder(queues=("mail",)))) == 1


def test_a_queue_whose_row_is_missing_gets_it_from_maintenance() -> None:
    enqueued(queue="mail")
    Queue.objects.all().delete()
    assert claim() == []
    claims.give_rows_to_queues()
    assert len(claim()) == 1


def test_a_paused_queue_gives_nothing_until_its_pause_is_over() -> None:
    enqueued(queue="mail")
    queue = Queue.objects.filter(name="mail")
    for served in (None, ("mail",), ("mail", "default")):
        queue.update(paused_at=timezone.now(), paused_until=None)
        assert claim(1, holder(queues=served)) == []
        queue.update(paused_until=ahead(60))
        assert claim(1, holder(queues=served)) == []
    queue.update(paused_until=ago(1))
    assert len(claim(1)) == 1


def test_names_that_a_process_does_not_know_are_left_for_another() -> None:
    enqueued("unknown", priority=9)
    enqueued("known")
    assert names(claim(5, holder(unknown=frozenset({"unknown", "more"})))) == ["known"]
    assert names(claim(5)) == ["unknown"]


def test_a_ready_task_moved_into_the_future_does_not_start_before_its_time() -> None:
    task = enqueued()
    Task.objects.filter(id=task.id).update(run_at=ahead(60))
    assert claim() == []
    Task.objects.filter(id=task.id).update(run_at=ago(1))
    assert len(claim()) == 1


def test_a_waiting_key_is_cleared_by_the_claim_and_another_key_is_not() -> None:
    claims.enqueue_unless_waiting(unsaved(), same_queue_only=False)
    keyed = enqueued("tests.two", unique_key="mine")
    assert {one.task_name: one.row["unique_key"] for one in claim(2)} == {"tests.one": None, "tests.two": "mine"}
    assert live(keyed.id).unique_key == "mine"
    assert Task.objects.get(task_name="tests.one").unique_key is None


def test_claiming_passes_by_what_others_have_locked() -> None:
    if not connection.features.has_select_for_update_skip_locked:
        return
    tasks = [enqueued(str(number), queue=f"q{number % 2}") for number in range(40)]
    second = connection.copy()
    try:
        with second.cursor() as cursor:
            second.set_autocommit(False)
            for task in tasks[:30]:
                cursor.execute("SELECT id FROM bgtasks_task WHERE id = %s FOR UPDATE", [task.id])
            assert names(claim(3)) == ["30", "31", "32"]
            assert names(claim(2, holder(queues=("q1",)))) == ["33", "35"]
            second.rollback()
    finally:
        second.close()
    assert names(claim(2)) == ["0", "1"]


def test_a_turn_never_enters_a_transaction_that_somebody_left_open() -> None:
    enqueued()
    for leave_open in (transaction.atomic, _without_autocommit):
        with leave_open():
            try:
                claim()
            except (RuntimeError, transaction.TransactionManagementError):
                pass
            else:
                raise AssertionError("the turn took part in a foreign transaction")
    assert len(claim()) == 1


class _without_autocommit:  # noqa: N801, read as a word
    def __enter__(self) -> None:
        transaction.set_autocommit(False)

    def __exit__(self, *details: object) -> None:
        transaction.rollback()
        transaction.set_autocommit(True)


RACER = """
import sys
import django
django.setup()
from tests.contract.making import claim, holder, success
from bgtasks.queue import claims
by, done, empty = holder(int(sys.argv[1])), [], 0
outcomes = []
while empty < 3:
    turn = claims.turn(outcomes, int(sys.argv[2]), by)
    assert not turn.lost
    print(*(one.task_id for one in turn.claims), flush=True)
    outcomes = [success(one) for one in turn.claims]
    empty = 0 if turn.claims else empty + 1
"""


def test_processes_that_race_claim_every_task_once(child_environment: dict[str, str]) -> None:
    tasks = [enqueued(str(number), queue=f"q{number % 3}", priority=number % 2) for number in range(150)]
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(number), str(want)],
            env=child_environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, want in enumerate((1, 1, 3, 10))
    ]
    claimed = [int(word) for racer in racers for word in racer.communicate(timeout=120)[0].split()]
    assert [racer.returncode for racer in racers] == [0, 0, 0, 0]
    assert sorted(claimed) == sorted(task.id for task in tasks)
    assert not Task.objects.exists()
