"""Figures about the queues: counts, ages and pauses, capped and in the form that status shows."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bgtasks import figures
from bgtasks.models import Queue, Status, Task, WorkerProcess
from bgtasks.queue import claims
from tests.contract.making import ago, ahead, claim, enqueued

pytestmark = pytest.mark.usefixtures("queue_tables")


def test_each_queue_is_counted_by_status() -> None:
    enqueued(queue="mail", run_at=ago(30), priority=-5)
    enqueued(queue="mail", run_at=ago(10), priority=3)
    enqueued(queue="mail", run_at=ahead(60))
    enqueued()
    claim()
    default, mail = sorted(figures.queue_figures(), key=lambda one: str(one["name"]))
    assert (mail["name"], mail["ready"] + mail["running"], mail["scheduled"]) == ("mail", 2, 1)
    assert default["ready"] + default["running"] == 1
    assert mail["oldest_ready_age_s"] >= 29
    assert (mail["paused"], mail["pause"]) == (False, None)


def test_a_queue_without_ready_tasks_has_no_oldest() -> None:
    enqueued(run_at=ahead(60))
    (default,) = figures.queue_figures()
    assert (default["ready"], default["oldest_ready_age_s"]) == (0, None)


def test_a_pause_says_by_whom_why_and_how_long() -> None:
    Queue.objects.create(name="mail", paused_at=timezone.now(), paused_by="ana", pause_reason="migration")
    (mail,) = figures.queue_figures()
    assert mail["paused"]
    assert (mail["pause"]["by"], mail["pause"]["reason"], mail["pause"]["until"]) == ("ana", "migration", None)
    assert mail["pause"]["since"].endswith("Z")
    Queue.objects.update(paused_until=ago(1))
    assert not figures.queue_figures()[0]["paused"]


def test_who_serves_a_queue_is_counted_over_all_hosts() -> None:
    enqueued(queue="mail")
    for number, served in enumerate(["", "mail*,sms", "!mail", "from another, version!*!", "mail"]):
        WorkerProcess.objects.create(name=str(number), host="h", pid=1, queues=served, last_seen_at=ago(0))
    WorkerProcess.objects.filter(name="4").update(last_seen_at=ago(3600))
    (mail,) = figures.queue_figures()
    assert mail["workers"] == 3
    WorkerProcess.objects.exclude(name="2").delete()
    assert figures.queue_figures()[0]["workers"] == 0
    claim()
    assert figures.queue_figures()[0]["workers"] is None


def test_counts_stop_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "COUNT_CAP", 3)
    for status in (Status.READY, Status.SCHEDULED):
        Task.objects.bulk_create([Task(task_name="tests.one", run_at=ago(1)) for _ in range(6)])
        Task.objects.filter(status=Status.READY).update(status=status)
    Task.objects.bulk_create([Task(task_name="tests.one", run_at=ago(1)) for _ in range(6)])
    (default,) = figures.queue_figures()
    assert (default["ready"], default["scheduled"]) == (4, 4)
    assert claims.database_now() is not None
