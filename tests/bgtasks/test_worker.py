"""The worker's loop against a real database, in this process."""

from __future__ import annotations

import logging
import os
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.test import override_settings
from django.utils import timezone, translation

from bgtasks import signals
from bgtasks.exceptions import TaskCancelled, TaskInterrupted
from bgtasks.execution import interrupt
from bgtasks.limits import Limits
from bgtasks.models import CompletedTask, Status, Task, TaskAttempt, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue.types import Death, Ending, Holder
from bgtasks.tasks import DBTaskRunner, background
from bgtasks.worker import Observer, Worker
from tests.project.tasks import fail, nap, ping

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "host:test:1:nonce"


class Notes(Observer):
    """Writes down what the worker tells."""

    def __init__(self):
        self.told = []

    def __getattribute__(self, name):
        if name in ("claimed", "started", "finished", "settled", "idle", "restored"):
            return lambda *facts: self.told.append(name)
        return super().__getattribute__(name)


def make_worker(**options):
    """Return a worker that leaves when there is nothing to do."""
    waits = options.pop("waits", 0)
    worker = Worker(Holder(NAME, lease=60, queues=options.pop("queues", None)), **options)
    seen = []

    def wait(seconds):
        seen.append(seconds)
        if len(seen) > waits:
            worker.drain("empty")

    worker.wait = wait
    worker.waits = seen
    return worker


@pytest.fixture
def heard():
    """Every signal of the heritage, in the order in which it was sent."""
    heard = []
    receivers = []
    for name in ("created", "started", "error", "rescheduled", "failed", "cancelled", "successful", "finished"):
        signal = getattr(signals, f"task_{name}")

        def receive(sender, name=name, **facts):
            heard.append((name, sender, facts))

        signal.connect(receive)
        receivers.append((signal, receive))
    yield heard
    for signal, receive in receivers:
        signal.disconnect(receive)


def test_a_worker_runs_what_is_ready_and_rests():
    tasks = [ping.enqueue(number) for number in range(3)]
    observer = Notes()
    worker = make_worker(observer=observer)
    assert worker.run() == "empty"
    assert not Task.objects.exists()
    assert {task.id for task in CompletedTask.objects.succeeded()} == {task.id for task in tasks}
    assert observer.told[:6] == ["settled", "claimed", "started", "finished", "settled", "claimed"]
    assert observer.told.count("started") == 3
    assert observer.told[-1] == "idle"


def test_a_worker_is_written_down_while_it_runs_and_forgotten_afterwards():
    seen = []
    worker = make_worker()
    worker.wait = lambda seconds: seen.extend(WorkerProcess.objects.all()) or worker.drain()
    assert worker.run() == "stopped"
    (row,) = seen
    assert (row.name, row.instance, row.slot, row.pid) == (NAME, "test", 1, os.getpid())
    assert row.start_ticks > 0
    assert not WorkerProcess.objects.exists()


def test_a_failure_is_kept_and_tried_again_later():
    task = fail.enqueue("first")
    make_worker().run()
    task.refresh_from_db()
    assert (task.status, task.attempts, task.locked_by, task.crashes) == (Status.SCHEDULED, 1, None, 0)
    assert timedelta(seconds=0) < task.run_at - timezone.now() < timedelta(seconds=7)
    assert "ValueError: first" in task.last_error
    attempt = TaskAttempt.objects.get()
    assert (attempt.task_id, attempt.attempt, attempt.exception) == (task.id, 1, "builtins.ValueError")


def test_the_last_attempt_moves_the_task_to_the_history():
    with override_settings(BGTASKS={"MAX_ATTEMPTS": 1}):
        task = fail.enqueue()
        make_worker().run()
    completed = CompletedTask.objects.get(id=task.id)
    assert (completed.status, completed.attempts) == (Status.FAILED, 1)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, BaseException])
def test_f06_the_worker_outlives_whatever_a_task_raises(error):
    @background(name="worker.raises")
    def raises():
        raise error

    task, after = raises.enqueue(), ping.enqueue(1)
    assert make_worker().run() == "empty"
    assert error.__name__ in Task.objects.get(id=task.id).last_error
    assert CompletedTask.objects.filter(id=after.id).exists()


def test_queues_that_are_not_served_are_left_alone():
    mine, others = ping.using(queue="mail").enqueue(1), ping.enqueue(2)
    make_worker(queues=("mail",)).run()
    assert CompletedTask.objects.filter(id=mine.id).exists()
    assert Task.objects.get(id=others.id).attempts == 0


def test_an_unknown_name_goes_back_uncharged_is_told_once_and_does_not_starve_the_others(caplog):
    unknown = [Task.objects.create(task_name="nobody.knows", priority=9) for _ in range(3)]
    known = [ping.enqueue(number) for number in range(3)]
    worker = make_worker()
    worker.run()
    assert CompletedTask.objects.count() == len(known)
    for task in unknown:
        task.refresh_from_db()
        assert (task.status, task.attempts, task.last_error) == (Status.READY, 0, "")
    assert caplog.text.count("nobody.knows") == 1
    assert worker.holder.unknown == {"nobody.knows"}


def test_each_limit_ends_the_worker_between_tasks():
    tasks = [ping.enqueue(number) for number in range(3)]
    assert make_worker(limits=Limits(max_tasks=2)).run() == "max_tasks"
    assert CompletedTask.objects.count() == 2
    left = Task.objects.get(id=tasks[2].id)
    assert (left.status, left.attempts) == (Status.READY, 0)


def test_the_duration_ends_a_rest():
    worker = make_worker(limits=Limits(duration=0.5), waits=10**9)
    assert worker.run() == "duration"
    assert max(worker.waits) <= 0.5


def test_a_worker_told_to_drain_finishes_its_task_and_claims_no_other():
    @background(name="worker.drains")
    def drains():
        worker.drain("stopped")

    first, second = drains.enqueue(), ping.enqueue(1)
    worker = make_worker()
    assert worker.run() == "stopped"
    assert CompletedTask.objects.filter(id=first.id).exists()
    assert Task.objects.get(id=second.id).attempts == 0


def test_a_claim_that_was_not_started_when_the_drain_came_goes_back_uncharged():
    class Drains(Observer):
        def claimed(self, claims):
            if claims:
                worker.drain("stopped")

    task = ping.enqueue(1)
    worker = make_worker(observer=Drains())
    assert worker.run() == "stopped"
    task.refresh_from_db()
    assert (task.status, task.attempts, task.locked_by) == (Status.READY, 0, None)


def test_an_interrupted_task_goes_back_uncharged():
    @background(name="worker.interrupted")
    def interrupted():
        worker.drain("stopped")
        interrupt(worker.sequence, TaskInterrupted)

    task = interrupted.enqueue()
    worker = make_worker()
    assert worker.run() == "stopped"
    task.refresh_from_db()
    assert (task.status, task.attempts, task.last_error) == (Status.READY, 0, "")


def test_a_cancelled_task_ends_as_cancelled(heard):
    @background(name="worker.cancelled")
    def cancelled():
        interrupt(worker.sequence, TaskCancelled)

    task = cancelled.enqueue()
    heard.clear()
    worker = make_worker()
    worker.run()
    assert CompletedTask.objects.get(id=task.id).status == Status.CANCELLED
    assert TaskAttempt.objects.get(task_id=task.id).exception == "bgtasks.exceptions.TaskCancelled"
    assert names_of(heard) == ["started", "cancelled", "finished"]
    assert heard[1][2]["completed_task"].id == heard[1][2]["task_id"] == task.id


def test_a_task_that_was_to_be_cancelled_and_fails_is_cancelled_and_one_that_succeeds_is_not(heard):
    @background(name="worker.asked")
    def asked(fails):
        assert Task.objects.get().cancel()
        if fails:
            raise ValueError("no")

    for fails, ending in ((True, "cancelled"), (False, "successful")):
        task = asked.enqueue(fails)
        heard.clear()
        make_worker().run()
        assert CompletedTask.objects.get(id=task.id).status.label == ending
        assert names_of(heard) == ["started", ending, "finished"]


def test_a_waiting_task_that_is_cancelled_is_announced_at_the_commit(heard):
    task = ping.enqueue(1)
    heard.clear()
    with transaction.atomic():
        assert task.cancel()
        assert heard == []
    assert names_of(heard) == ["cancelled"]
    assert heard[0][2]["completed_task"].id == task.id
    assert not task.cancel()


def test_a_task_killed_because_it_was_cancelled_is_announced_by_an_idle_worker(heard):
    task = ping.enqueue(1)
    (claim,) = claims.turn([], 1, Holder("host:dead:1:nonce", lease=60)).claims
    task.cancel()
    claims.release(Death("host:dead:1:nonce", Ending.CANCELLED, "killed", running=((task.id, claim.token),)))
    heard.clear()
    make_worker(waits=1).run()
    assert names_of(heard) == ["cancelled", "finished"]


def test_a_worker_whose_claim_was_lost_writes_nothing_and_says_so(heard, caplog):
    @background(name="worker.loses")
    def loses():
        worker.is_registered = False  # the release forgets the worker
        claims.release(Death(NAME, Ending.STOPPED, "taken away"))
        Task.objects.filter(task_name="worker.loses").update(run_at=timezone.now() + timedelta(hours=1))

    task = loses.enqueue()
    worker = make_worker()
    worker.run()
    task.refresh_from_db()
    assert (task.attempts, task.locked_by) == (0, None)
    assert not CompletedTask.objects.exists()
    assert [name for name, _, _ in heard] == ["created", "started"]
    (line,) = [record for record in caplog.records if getattr(record, "event", "") == "task"]
    assert (line.outcome, line.levelname) == ("lost", "WARNING")


def test_a_deleted_running_task_is_not_resurrected():
    @background(name="worker.deleted", repeat=60)
    def deleted():
        Task.objects.all().delete()

    deleted.enqueue()
    make_worker().run()
    assert not Task.objects.exists()
    assert not CompletedTask.objects.exists()


# One transaction for body and outcome


def test_atomic_effects_and_completion_commit_together():
    @background(name="worker.atomic", atomic=True)
    def atomic():
        assert connection.in_atomic_block
        ping.enqueue(5)

    task = atomic.enqueue()
    make_worker().run()
    assert CompletedTask.objects.filter(id=task.id).exists()
    assert CompletedTask.objects.count() == 2


def test_atomic_effects_of_a_failure_are_rolled_back():
    @background(name="worker.atomic", atomic=True)
    def atomic():
        ping.enqueue(5)
        raise ValueError("no")

    task = atomic.enqueue()
    make_worker().run()
    assert list(Task.objects.values_list("id", "attempts")) == [(task.id, 1)]
    assert not CompletedTask.objects.exists()


def test_atomic_effects_are_rolled_back_when_the_row_is_gone_at_the_end(heard):
    @background(name="worker.atomic", atomic=True)
    def atomic():
        ping.enqueue(5)
        Task.objects.filter(id=task.id).delete()

    task = atomic.enqueue()
    make_worker().run()
    assert not CompletedTask.objects.exists()
    row = Task.objects.get()
    assert (row.id, row.status, row.attempts) == (task.id, Status.SCHEDULED, 1)
    assert names_of(heard) == ["created", "started", "error", "rescheduled", "finished"]


def test_an_on_commit_function_that_fails_changes_no_outcome(caplog):
    @background(name="worker.atomic", atomic=True)
    def atomic():
        transaction.on_commit(lambda: 1 / 0)

    task = atomic.enqueue()
    make_worker().run()
    assert CompletedTask.objects.get(id=task.id).status == Status.SUCCESSFUL
    assert "an on_commit function failed" in caplog.text


# What tasks leave behind


def test_f25_an_open_transaction_is_rolled_back_and_the_next_claim_works(caplog):
    @background(name="worker.leaves_open")
    def leaves_open():
        transaction.atomic().__enter__()
        ping.enqueue(99)

    first, second = leaves_open.enqueue(), ping.enqueue(2)
    assert make_worker().run() == "empty"
    assert set(CompletedTask.objects.values_list("id", flat=True)) == {first.id, second.id}
    assert "open transaction on default" in caplog.text


def test_f25_a_transaction_begun_in_raw_sql_does_not_stop_the_next_claim():
    @background(name="worker.begins")
    def begins():
        connection.cursor().execute("BEGIN")

    first, second = begins.enqueue(), ping.enqueue(2)
    assert make_worker(waits=3).run() == "empty"
    assert set(CompletedTask.objects.values_list("id", flat=True)) == {first.id, second.id}


def test_f25_autocommit_left_off_does_not_stop_the_next_claim():
    @background(name="worker.autocommit")
    def autocommit_off():
        transaction.set_autocommit(False)
        ping.enqueue(99)

    first, second = autocommit_off.enqueue(), ping.enqueue(2)
    assert make_worker(waits=3).run() == "empty"
    assert set(CompletedTask.objects.values_list("id", flat=True)) == {first.id, second.id}


def test_f25_a_connection_that_died_under_a_task_costs_neither_outcome_nor_worker():
    @background(name="worker.kills_its_connection")
    def kills_its_connection():
        connection.ensure_connection()
        connection.connection.close()  # the driver's, behind Django's back: as a server that went away

    first, second = kills_its_connection.enqueue(), ping.enqueue(2)
    assert make_worker(waits=5).run() == "empty"
    assert set(CompletedTask.objects.values_list("id", flat=True)) == {first.id, second.id}


def test_f25_a_database_error_in_a_task_is_only_its_own():
    @background(name="worker.errs")
    def errs():
        with transaction.atomic():
            connection.cursor().execute("SELECT nothing FROM nowhere")

    first, second = errs.enqueue(), ping.enqueue(2)
    make_worker().run()
    assert Task.objects.get(id=first.id).attempts == 1
    assert CompletedTask.objects.filter(id=second.id).exists()


def test_language_and_time_zone_that_a_task_activates_are_its_own():
    seen = []

    def active():
        return translation.get_language(), timezone.get_current_timezone_name()

    @background(name="worker.activates")
    def activates():
        seen.append(active())
        translation.activate("de")
        timezone.activate("Asia/Tokyo")

    @background(name="worker.deactivates")
    def deactivates():
        seen.append(active())
        translation.deactivate_all()

    for task in (activates, deactivates, activates):
        task.enqueue()
    make_worker().run()
    assert seen == [("en-us", "Europe/Berlin")] * 3
    assert active() == seen[0]


def test_no_connection_is_made_anew_for_each_task():
    opened = []

    @background(name="worker.looks")
    def looks():
        opened.append(connection.connection)

    for _ in range(5):
        looks.enqueue()
    make_worker().run()
    assert len({id(one) for one in opened}) == 1


def test_f26_threads_left_running_are_named_once(caplog):
    stop = threading.Event()

    @background(name="worker.leaves_threads")
    def leaves_threads():
        threading.Thread(target=stop.wait, name="left-behind").start()

    for _ in range(3):
        leaves_threads.enqueue()
    try:
        make_worker().run()
    finally:
        stop.set()
    assert CompletedTask.objects.count() == 3
    assert caplog.text.count("left-behind") == 1


def test_what_was_put_back_is_told_to_the_observer():
    @background(name="worker.changes")
    def changes():
        os.umask(0)

    observer = Notes()
    changes.enqueue()
    make_worker(observer=observer).run()
    assert "restored" in observer.told


# The database away


def test_an_outcome_that_cannot_be_written_is_kept_until_it_is(monkeypatch, caplog):
    task, failing = ping.enqueue(1), []
    really = claims.turn

    def turn(outcomes, want, holder):
        if outcomes and len(failing) < 4:
            failing.append(outcomes)
            raise OperationalError("server closed the connection unexpectedly")
        return really(outcomes, want, holder)

    monkeypatch.setattr(claims, "turn", turn)
    worker = make_worker(waits=4)
    assert worker.run() == "empty"
    assert CompletedTask.objects.get(id=task.id).attempts == 1
    assert len(failing) == 4
    assert [wait <= limit for wait, limit in zip(worker.waits, [0.1, 0.2, 0.4, 0.8], strict=False)] == [True] * 4
    told = [record.event for record in caplog.records if getattr(record, "event", "").startswith("database")]
    assert told == ["database_away", "database_back"]


def test_a_worker_told_to_leave_meanwhile_still_writes_its_outcome(monkeypatch):
    task, failing = ping.enqueue(1), []
    really = claims.turn

    def turn(outcomes, want, holder):
        if outcomes and len(failing) < 3:
            failing.append(outcomes)
            worker.drain("stopped")
            raise OperationalError("gone")
        return really(outcomes, want, holder)

    monkeypatch.setattr(claims, "turn", turn)
    worker = make_worker()
    assert worker.run() == "stopped"
    assert CompletedTask.objects.filter(id=task.id).exists()


def test_a_worker_that_gives_up_leaves_its_task_to_the_lease(monkeypatch):
    task = ping.enqueue(1)
    really = claims.turn

    def turn(outcomes, want, holder):
        if outcomes:
            worker.drain("stopped")
            worker.give_up()
            raise OperationalError("gone for good")
        return really(outcomes, want, holder)

    monkeypatch.setattr(claims, "turn", turn)
    worker = make_worker()
    assert worker.run() == "stopped"
    assert Task.objects.get(id=task.id).status == Status.RUNNING


# Signals


def names_of(heard):
    return [name for name, _, _ in heard]


def test_signals_of_a_success(heard):
    task = ping.enqueue(1)
    make_worker().run()
    assert names_of(heard) == ["created", "started", "successful", "finished"]
    assert [sender for _, sender, _ in heard] == [DBTaskRunner, Task, Task, Task]
    assert (heard[1][2]["task"].id, heard[1][2]["task"].attempts) == (task.id, 1)
    assert heard[2][2]["task_id"] == heard[2][2]["completed_task"].id == heard[3][2]["task_id"] == task.id


def test_signals_of_a_failed_attempt_show_the_row_as_it_is(heard):
    task = fail.enqueue("no")
    make_worker().run()
    assert names_of(heard) == ["created", "started", "error", "rescheduled", "finished"]
    assert heard[2][1] is ValueError
    assert (heard[2][2]["task"].attempts, "ValueError: no" in heard[2][2]["task"].last_error) == (1, True)
    rescheduled = heard[3][2]["task"]
    assert (rescheduled.id, rescheduled.locked_by) == (task.id, None)
    assert rescheduled.run_at > timezone.now()


def test_signals_of_a_final_failure(heard):
    with override_settings(BGTASKS={"MAX_ATTEMPTS": 1}):
        task = fail.enqueue()
        make_worker().run()
    assert names_of(heard) == ["created", "started", "error", "failed", "finished"]
    assert heard[3][2]["completed_task"].id == heard[3][2]["task_id"] == task.id


def test_a_repetition_is_announced_as_created(heard):
    repeated = ping.using(repeat=3600).enqueue(1)
    make_worker().run()
    assert names_of(heard) == ["created", "started", "successful", "finished", "created"]
    assert heard[-1][2]["task"].id == Task.objects.get().id != repeated.id


def test_the_repetition_of_an_atomic_task_is_announced_after_the_commit():
    @background(name="worker.atomic", atomic=True)
    def atomic():
        pass

    def receive(sender, task, **facts):
        seen.append((task.id, connection.in_atomic_block, Task.objects.filter(id=task.id).exists()))

    first, seen = atomic.using(repeat=3600).enqueue(), []
    signals.task_created.connect(receive, sender=DBTaskRunner)
    try:
        make_worker().run()
    finally:
        signals.task_created.disconnect(receive, sender=DBTaskRunner)
    repetition = Task.objects.get()
    assert repetition.id != first.id
    assert seen == [(repetition.id, False, True)]


def test_a_receiver_that_raises_changes_nothing(caplog):
    def receive(sender, **facts):
        raise RuntimeError("from a receiver")

    everything = [getattr(signals, name) for name in dir(signals) if name.startswith("task_")]
    for signal in everything:
        signal.connect(receive)
    try:
        task = ping.enqueue(1)
        make_worker().run()
    finally:
        for signal in everything:
            signal.disconnect(receive)
    assert CompletedTask.objects.get(id=task.id).attempts == 1
    assert "from a receiver" in caplog.text


def test_without_a_receiver_no_row_is_read(django_assert_max_num_queries):
    ping.enqueue(1)
    worker = make_worker()
    with django_assert_max_num_queries(40) as queries:
        worker.run()
    assert not [query for query in queries if 'FROM "bgtasks_completedtask" WHERE' in query["sql"]]


def test_attempts_of_dead_workers_are_announced_by_an_idle_worker(heard):
    task = ping.enqueue(1)
    (claim,) = claims.turn([], 1, Holder("host:dead:1:nonce", lease=60)).claims
    claims.release(Death("host:dead:1:nonce", Ending.CRASHED, "SIGSEGV", running=((task.id, claim.token),)))
    Task.objects.update(run_at=timezone.now() + timedelta(hours=1))
    heard.clear()
    make_worker(waits=1).run()
    assert names_of(heard) == ["error", "rescheduled", "finished"]
    assert heard[0][1].__name__ == "WorkerDied"
    assert not TaskAttempt.objects.filter(announced=False).exists()
    heard.clear()
    make_worker(waits=1).run()
    assert heard == []


# The log


def test_one_line_for_each_run(caplog):
    caplog.set_level(logging.INFO, logger="bgtasks")
    done, failed = ping.enqueue(1), fail.enqueue("no")
    make_worker().run()
    lines = [record for record in caplog.records if getattr(record, "event", "") == "task"]
    facts = [(line.task_id, line.task_name, line.outcome, line.levelname, line.attempt) for line in lines]
    assert facts == [
        (done.id, "tests.project.tasks.ping", "successful", "INFO", 1),
        (failed.id, "tests.project.tasks.fail", "retry", "ERROR", 1),
    ]
    assert (lines[1].retry_in, lines[1].max_attempts, lines[1].worker, lines[1].queue) == (6, 25, NAME, "default")
    assert lines[0].waited >= 0
    assert lines[0].duration >= 0
    text = logging.Formatter().formatException(lines[1].exc_info)
    assert "in fail" in text
    assert "bgtasks/execution" not in text


@pytest.mark.parametrize(("allowed", "shown"), [(True, "(1)"), (False, ""), (None, "")])
def test_arguments_are_in_the_log_only_where_the_settings_allow_it(caplog, allowed, shown):
    caplog.set_level(logging.INFO, logger="bgtasks")
    with override_settings(BGTASKS={"LOG_ARGS": allowed}):
        ping.enqueue(1)
        make_worker().run()
    (line,) = [record for record in caplog.records if getattr(record, "event", "") == "task"]
    assert line.arguments == shown


def test_a_nap_is_measured(caplog):
    caplog.set_level(logging.INFO, logger="bgtasks")
    nap.enqueue(0.1)
    make_worker().run()
    (line,) = [record for record in caplog.records if getattr(record, "event", "") == "task"]
    assert 0.1 <= line.duration < 10
