"""Running and writing tasks by hand, as django-background-tasks let people do: through `bgtasks.compat`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bgtasks import background, signals
from bgtasks.compat import in_process, writing
from bgtasks.compat.tasks import tasks
from bgtasks.exceptions import ClaimLost
from bgtasks.models import CompletedTask, Status, Task, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue.types import Holder

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ran() -> list[object]:
    return []


@pytest.fixture
def note(ran):
    @background(name="note")
    def note(what: object) -> None:
        ran.append(what)

    return note


def claimed_by_a_worker(task: Task) -> None:
    WorkerProcess.objects.create(name="h:i:1:aa", host="h", pid=1)
    assert [claim.task_id for claim in claims.turn([], 1, Holder("h:i:1:aa", 60.0)).claims] == [task.pk]


def test_the_next_task_runs_here_also_one_that_has_just_become_due(note, ran) -> None:
    note(1, schedule=-5)
    Task.objects.update(status=Status.SCHEDULED)
    assert tasks.run_next_task()
    assert not tasks.run_next_task()
    assert ran == [1]
    assert CompletedTask.objects.get().attempts == 1


@pytest.mark.django_db(transaction=False)
def test_inside_a_test_s_transaction_a_mysql_of_another_isolation_level_serves_too(note, ran, monkeypatch) -> None:
    assert connection.in_atomic_block
    monkeypatch.setattr(connection, "isolation_level", "repeatable read", raising=False)
    note(1)
    assert tasks.run_next_task()
    assert ran == [1]


def test_a_name_that_nobody_registered_here_is_left_alone(note, ran) -> None:
    Task.objects.new_task("elsewhere").save()
    note(1)
    assert tasks.run_next_task()
    assert not tasks.run_next_task()
    assert ran == [1]
    left = Task.objects.get()
    assert (left.task_name, left.status, left.attempts) == ("elsewhere", Status.READY, 0)


def test_only_the_queue_that_was_asked_for_is_served(note, ran) -> None:
    note(1, queue="mail")
    assert not tasks.run_next_task(queue="other")
    assert tasks.run_next_task(queue="mail")
    assert ran == [1]


def test_what_a_worker_holds_is_never_taken_however_old(note, settings) -> None:
    settings.MAX_RUN_TIME = 1
    task = note(1)
    claimed_by_a_worker(task)
    Task.objects.update(locked_at=timezone.now() - timedelta(days=1))
    assert not tasks.run_next_task()
    assert writing.lock(task, "somebody") is None
    with pytest.raises(ClaimLost):
        writing.create_completed_task(Task.objects.get())


def test_running_by_name_takes_the_waiting_task_along_or_runs_without_one(note, ran) -> None:
    note(1)
    tasks.run_task("note", [1])
    tasks.run_task("note", [2])
    assert ran == [1, 2]
    assert not Task.objects.exists()
    assert CompletedTask.objects.count() == 1
    with pytest.raises(KeyError):
        tasks.run_task("nobody knows it")


def test_a_program_that_is_its_own_worker_locks_runs_and_completes(note) -> None:
    made = note(1, repeat=3600)
    locked = writing.lock(made, "mine")
    assert (locked.status, locked.locked_by, locked.attempts) == (Status.RUNNING, "mine", 0)
    writing.increment_attempts(locked)
    completed = writing.create_completed_task(locked)
    assert (completed.pk, completed.attempts, completed.status) == (made.pk, 1, Status.SUCCESSFUL)
    repetition = writing.create_repetition(locked)
    assert Task.objects.get() == repetition
    assert repetition.run_at == made.run_at + timedelta(hours=1)
    locked.delete()
    assert CompletedTask.objects.count() == 1


def test_rescheduling_counts_records_and_frees_until_no_attempt_is_left(note, settings) -> None:
    heard = []
    signals.task_rescheduled.connect(lambda **facts: heard.append("rescheduled"), weak=False, dispatch_uid="here")
    signals.task_failed.connect(lambda **facts: heard.append("failed"), weak=False, dispatch_uid="here")
    settings.MAX_ATTEMPTS = 2
    try:
        task = writing.lock(note(1), "mine")
        error = ValueError("so it is")
        writing.reschedule(task, ValueError, error, None)
        assert (task.status, task.locked_by, task.attempts) == (Status.SCHEDULED, None, 1)
        assert task.last_error == "ValueError: so it is\n"
        assert task.run_at > timezone.now() + timedelta(seconds=4)
        writing.reschedule(writing.lock(task, "mine"), ValueError, error, None)
        over = CompletedTask.objects.get()
        assert (over.status, over.attempts) == (Status.FAILED, 2)
        assert heard == ["rescheduled", "failed"]
    finally:
        signals.task_rescheduled.disconnect(dispatch_uid="here")
        signals.task_failed.disconnect(dispatch_uid="here")


def test_ctrl_c_gives_the_task_back_and_goes_on_to_the_caller() -> None:
    @background(name="impatient")
    def impatient() -> None:
        raise KeyboardInterrupt

    impatient()
    with pytest.raises(KeyboardInterrupt):
        tasks.run_next_task()
    left = Task.objects.get()
    assert (left.status, left.attempts) == (Status.READY, 0)


def test_inside_of_somebodys_transaction_it_refuses_rather_than_commit_it(note, ran) -> None:
    note(1)
    with pytest.raises(RuntimeError), transaction.atomic():
        tasks.run_next_task()
    assert ran == []


def test_each_process_claims_under_its_own_name() -> None:
    assert in_process.holder().name != in_process.holder("other").name == "other"
