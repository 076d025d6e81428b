"""Renewing leases: all of a host's, on the database's clock, without waiting for anybody."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from bgtasks.models import Task, WorkerProcess
from bgtasks.queue import claims
from tests.contract.making import ago, claim_one, enqueued, holder, live


def test_renewing_prolongs_the_leases_of_the_named_workers_alone() -> None:
    enqueued("one"), enqueued("two"), enqueued("three")
    held = [claim_one(holder(number)) for number in (1, 2, 3)]
    Task.objects.update(locked_until=ago(5))
    before = claims.database_now()
    renewal = claims.renew([holder(1).name, holder(2).name, "nobody"], 30.0)
    assert renewal.held == {(one.task_id, one.token) for one in held[:2]}
    assert renewal.cancel_requested == []
    for claimed in held[:2]:
        assert timedelta(seconds=29.9) < live(claimed.task_id).locked_until - before < timedelta(seconds=50)
        assert live(claimed.task_id).claim == claimed.token
    assert live(held[2].task_id).locked_until < before


def test_renewing_tells_the_time_of_the_database_also_where_nothing_is_held() -> None:
    for workers in ([], [holder().name]):
        before = claims.database_now()
        renewal = claims.renew(workers, 30.0)
        assert before <= renewal.now <= claims.database_now()
        assert renewal.held == set()


def test_renewing_reports_what_shall_be_cancelled() -> None:
    enqueued()
    claimed = claim_one()
    assert claims.cancel(claimed.task_id)
    requested = claims.renew([holder().name], 30.0).cancel_requested
    assert requested == [(claimed.task_id, claimed.token, holder().name)]


def test_renewing_notes_that_the_workers_were_seen() -> None:
    claims.register(WorkerProcess(name=holder().name, host="host", pid=1))
    WorkerProcess.objects.update(last_seen_at=ago(100))
    claims.renew([holder().name], 30.0)
    assert WorkerProcess.objects.get().last_seen_at > ago(50)


def test_renewing_never_waits_for_a_locked_row() -> None:
    if not connection.features.has_select_for_update_skip_locked:
        return
    for number in range(3):
        enqueued(str(number))
    held = [claim_one() for _ in range(3)]
    claims.register(WorkerProcess(name=holder().name, host="host", pid=1))
    Task.objects.update(locked_until=ago(5))
    session = connection.copy()
    try:
        with session.cursor() as cursor:
            session.set_autocommit(False)
            cursor.execute("SELECT id FROM bgtasks_task WHERE id = %s FOR UPDATE", [held[1].task_id])
            cursor.execute("SELECT id FROM bgtasks_workerprocess FOR UPDATE")
            renewal = claims.renew([holder().name], 30.0)
            session.rollback()
    finally:
        session.close()
    assert renewal.held == {(one.task_id, one.token) for one in held}
    assert [live(one.task_id).locked_until > ago(0) for one in held] == [True, False, True]


def test_workers_of_this_boot_are_those_whose_processes_can_be_looked_for() -> None:
    for number, boot in ((1, "a"), (2, "b"), (3, "a")):
        claims.register(
            WorkerProcess(name=holder(number).name, host="host", pid=number, boot_id=boot, pid_namespace="n")
        )
    found = claims.workers_of_this_boot("host", "a", "n")
    assert [one.pid for one in found] == [1, 3]
    claims.forget(holder(1).name)
    assert [one.pid for one in claims.workers_of_this_boot("host", "a", "n")] == [3]
